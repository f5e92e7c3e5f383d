/**
 * Opens the log source of the configured type, lazily: the clients of the queues are large and a pipeline reads one. A queue
 * adds its spec to `sourcesSpec`, its case to {@link openLog} and, where its records have places of another queue's form, to
 * {@link queueOf}.
 */
import { assertNever, type TidemarkError } from "../pipeline/errors.ts";
import type { LogSource, Queue } from "../pipeline/model/mod.ts";
import type { NodeChannel } from "../sources/log/mod.ts";
import type { RetryOptions } from "../stores/mod.ts";
import type { PipelineConfig } from "./schema.ts";

export type LogConfig = NonNullable<PipelineConfig["sources"]["log"]>;

/** What a log source may need besides its own keys. */
export interface LogSurroundings {
  /** The sources beside it: some queues keep their log in the same etcd and bucket. */
  readonly sources: PipelineConfig["sources"];
  /** How object stores are to be patient. */
  readonly retry: RetryOptions;
  /** A topic's reader stopped getting answers, and why; undefined: it gets them again. */
  readonly onState: (topic: string, reason: string | undefined) => void;
  /** Something is tried again. */
  readonly onRetry: (error: TidemarkError) => void;
  /** Bytes of values that a response brought. */
  readonly onFetched?: (topic: string, bytes: number) => void;
}

/** Whose places the log's records and the source's metadata have. */
export function queueOf(log: LogConfig | undefined): Queue {
  return log?.type === "milvus" ? log.queue : log?.type ?? "kafka";
}

/** Of one answer; Woodpecker's own client takes as much. */
const NODE_MESSAGE_BYTES = 512 * 1024 * 1024;

/** Woodpecker's servers speak plain text and ask for no login. */
async function openWoodpeckerNode(address: string): Promise<NodeChannel> {
  const { openChannel } = await import("../sinks/milvus/mod.ts");
  return openChannel({
    address,
    tls: undefined,
    token: "",
    owner: "sources.log",
    maxMessageBytes: NODE_MESSAGE_BYTES,
  });
}

export async function openLog(config: LogConfig, around: LogSurroundings): Promise<LogSource> {
  const { sources, retry, onState, onRetry, onFetched } = around;
  switch (config.type) {
    case "kafka": {
      const { openKafkaLog } = await import("../sources/log/mod.ts");
      return await openKafkaLog(config, {
        onState: ({ topic, state, reason }) => onState(topic, state === "down" ? reason : undefined),
        ...(onFetched === undefined ? {} : { onFetched }),
      });
    }
    case "woodpecker": {
      const { openWoodpeckerLog } = await import("../sources/log/mod.ts");
      return await openWoodpeckerLog(config, {
        etcd: sources.meta!,
        binlogs: sources.binlogs,
        openNode: openWoodpeckerNode,
        retry,
        onState,
        onRetry,
        ...(onFetched === undefined ? {} : { onFetched }),
      });
    }
    case "pulsar": {
      const { openPulsarLog } = await import("../sources/log/mod.ts");
      return await openPulsarLog(config, {
        onState: ({ topic, state, reason }) => onState(topic, state === "down" ? reason : undefined),
        ...(onFetched === undefined ? {} : { onFetched }),
      });
    }
    case "milvus": {
      const [{ openDumpLog }, { channelOptions, openChannel }] = await Promise.all([
        import("../sources/log/mod.ts"),
        import("../sinks/milvus/mod.ts"),
      ]);
      const connection = channelOptions(config, (path) => Deno.readFileSync(path));
      return await openDumpLog(config, {
        etcd: sources.meta!,
        channel: openChannel({ ...connection, owner: "sources.log" }),
        onState: ({ topic, state, reason }) => onState(topic, state === "down" ? reason : undefined),
        onRetry,
        ...(onFetched === undefined ? {} : { onFetched }),
      });
    }
    case "files": {
      const { openFilesLog } = await import("../sources/log/mod.ts");
      return openFilesLog(config);
    }
    default:
      return assertNever(config);
  }
}
