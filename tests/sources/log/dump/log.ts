/** The log source on a Milvus against a stand-in for one, with the source's etcd in memory. */
import { create, toBinary } from "@bufbuild/protobuf";
import type { LogSource, Position } from "../../../../pipeline/model/mod.ts";
import { WALCheckpointSchema } from "../../../../pipeline/proto/gen/streaming_pb.ts";
import { channelOptions, openChannel } from "../../../../sinks/milvus/mod.ts";
import { DumpClient } from "../../../../sources/log/dump/client.ts";
import { DumpKeys } from "../../../../sources/log/dump/keys.ts";
import { createDumpLog, type DumpLogOptions } from "../../../../sources/log/dump/source.ts";
import { dumpLogSpec } from "../../../../sources/log/mod.ts";
import type { DumpServer } from "../../../fakes/dump_server.ts";
import { EtcdKeys } from "../../../fakes/etcd_keys.ts";

const ROOT = "by-dev/meta";

export interface DumpLogFixture {
  readonly log: LogSource;
  readonly client: DumpClient;
  readonly etcd: EtcdKeys;
  close(): Promise<void>;
}

export function dumpLog(
  server: DumpServer,
  { etcd = new EtcdKeys(), config = {}, options = {} }: {
    readonly etcd?: EtcdKeys;
    readonly config?: Readonly<Record<string, unknown>>;
    readonly options?: Partial<DumpLogOptions>;
  } = {},
): DumpLogFixture {
  const parsed = dumpLogSpec.parse({ type: "milvus", address: server.address, queue: server.ids.queue, ...config });
  const connection = channelOptions(parsed, (path) => Deno.readFileSync(path));
  const channel = openChannel({ ...connection, owner: "sources.log" });
  const client = new DumpClient(channel, server.ids, parsed.request_timeout_ms);
  const log = createDumpLog({
    client,
    keys: new DumpKeys(etcd, ROOT, server.ids),
    idlePollMs: parsed.idle_poll_ms,
    timeoutMs: parsed.request_timeout_ms,
    ...options,
  });
  return { log, client, etcd, close: () => log.close() };
}

export function addChannel(etcd: EtcdKeys, topic: string): void {
  etcd.put(`${ROOT}/streamingcoord-meta/pchannel/${topic}`, "");
}

export function removeChannel(etcd: EtcdKeys, topic: string): void {
  etcd.delete(`${ROOT}/streamingcoord-meta/pchannel/${topic}`);
}

/** Where Milvus itself would start again. */
export function setRestart(etcd: EtcdKeys, server: DumpServer, topic: string, place: Position): void {
  const { ids } = server;
  const id = ids.queue === "kafka" ? place.toString(36) : ids.forms.toMilvus(place).toBase64();
  etcd.put(
    `${ROOT}/streamingnode-meta/wal/${topic}/consume-checkpoint`,
    toBinary(WALCheckpointSchema, create(WALCheckpointSchema, { messageId: { id, WALName: ids.wal } })),
  );
}
