/** Opens the log on a Milvus itself. What reads it is loaded when it is first used. */
import type { TidemarkError } from "../../../pipeline/errors.ts";
import type { LogSource } from "../../../pipeline/model/mod.ts";
import type { EtcdConnectionConfig } from "../../../stores/etcd/spec.ts";
import { connectEtcd, etcdOptions } from "../../../stores/mod.ts";
import { lazyLog } from "../lazy_log.ts";
import type { DumpChannel } from "./client.ts";
import type { DumpLogOptions } from "./source.ts";
import type { DumpLogConfig } from "./spec.ts";

export interface DumpSurroundings extends Pick<DumpLogOptions, "onState" | "onFetched"> {
  /** Of the source's metadata: it says which channels there are. */
  readonly etcd: EtcdConnectionConfig & { readonly root_path: string; readonly meta_sub_path: string };
  /** Not connected yet; closed with the log. */
  readonly channel: DumpChannel;
  readonly onRetry?: (error: TidemarkError) => void;
}

/** Throws `config` where a file that is named cannot be read. */
export async function openDumpLog(
  config: DumpLogConfig,
  { etcd, channel, onRetry, ...options }: DumpSurroundings,
): Promise<LogSource> {
  const { queue, request_timeout_ms: timeoutMs, idle_poll_ms: idlePollMs } = config;
  const keyOptions = await etcdOptions(etcd);
  const log = lazyLog(queue, async () => {
    const [{ DumpClient }, { DumpKeys }, { dumpIds }, { createDumpLog }] = await Promise.all([
      import("./client.ts"),
      import("./keys.ts"),
      import("./ids.ts"),
      import("./source.ts"),
    ]);
    const ids = dumpIds(queue);
    const client = connectEtcd({
      ...keyOptions,
      persistent: true,
      onRetry: (error) => onRetry?.(error),
      onState: (error) =>
        options.onState?.({ topic: "etcd", state: error === undefined ? "up" : "down", reason: error?.message ?? "" }),
    });
    const found = createDumpLog({
      ...options,
      client: new DumpClient(channel, ids, timeoutMs),
      keys: new DumpKeys(client, `${etcd.root_path}/${etcd.meta_sub_path}`, ids),
      idlePollMs,
      timeoutMs,
    });
    return {
      queue,
      topics: (signal) => found.topics(signal),
      bounds: (topic, signal) => found.bounds(topic, signal),
      tail: (...request) => found.tail(...request),
      check: (signal) => found.check(signal),
      async close() {
        await found.close();
        await client.close();
      },
    };
  });
  return {
    ...log,
    async close() {
      await log.close();
      await channel.close();
    },
  };
}
