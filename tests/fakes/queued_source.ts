/** A {@link FakeSource} whose log lies in another queue, and is read from there by the queue's own reader. */
import type { Follow } from "../../pipeline/flow/mod.ts";
import type { Catalog, Collection, LogRecord, LogSource, MetaSource, Position } from "../../pipeline/model/mod.ts";
import { MessageType } from "../../pipeline/proto/gen/messages_pb.ts";
import { followPchannel } from "../../sources/log/mod.ts";
import { addChannel, dumpLog } from "../sources/log/dump/log.ts";
import { DumpServer } from "./dump_server.ts";
import { EtcdKeys } from "./etcd_keys.ts";
import { milvusRecord } from "./milvus_records.ts";
import type { PipelineSource } from "./pipeline.ts";
import { type FakeSource, followOf, recordFacts } from "./source.ts";

export interface FakeQueue extends AsyncDisposable {
  readonly log: LogSource;
  /** Its records are Milvus' own, of this generation, and its decoders read them. Default: the source's simple ones. */
  readonly generation?: 1 | 2;
  /** Names that its topics have. Default: those of the source. */
  readonly pchannels?: readonly string[];
  /** Time between ticks, where they come by themselves. Default: as short as the source has it. */
  readonly tickMs?: number;
  /** As a process does that is started anew. */
  reopen(): Promise<void>;
  create(topic: string): void;
  /** Behind what the topic has. */
  append(record: LogRecord): void;
  /** Of the topic's `index`-th record. */
  position(topic: string, index: bigint): Position;
  /** Resolves once all can be read. */
  written(): Promise<void>;
  /** What is read from changes hands, as when a topic moves to another broker or another node writes it. */
  move?(): Promise<void>;
  /** The server is killed, and started again. */
  restart?(): Promise<void>;
}

/** The first record of a log is the tick of the node that made it, and none that is given. */
const FIRST = 1n;

/** By the DumpMessages of a server. */
export async function dumpQueue(): Promise<FakeQueue> {
  const server = await DumpServer.start({ queue: "kafka" });
  const etcd = new EtcdKeys();
  const open = () => dumpLog(server, { etcd, options: { quietMs: 10 } });
  let opened = open();
  const text = new TextEncoder();
  return {
    get log() {
      return opened.log;
    },
    reopen: async () => {
      await opened.close();
      opened = open();
    },
    create: (topic) => {
      server.create(topic);
      addChannel(etcd, topic);
    },
    append: (record) => {
      const { isTick, ts } = recordFacts(record);
      const offset = record.offset + FIRST;
      const properties = {
        _v: "1",
        _t: String(isTick ? MessageType.TimeTick : MessageType.Insert),
        _tt: ts.toString(36),
        _lc: (offset - 1n).toString(36),
      };
      const headers = Object.entries(properties).map(([name, value]) => [name, text.encode(value)] as const);
      server.append(record.topic, [{ ...record, offset, headers }]);
    },
    position: (_topic, index) => index + FIRST,
    written: () => Promise.resolve(),
    [Symbol.asyncDispose]: async () => {
      await opened.close();
      await server[Symbol.asyncDispose]();
    },
  };
}

/** From now on everything that `source` writes, and has written, is in `queue`, which a run reads. */
export function onQueue(source: FakeSource, queue: FakeQueue): PipelineSource {
  for (const pchannel of source.pchannels) queue.create(pchannel);
  const { generation } = queue;
  source.log.onRecord = (record) => queue.append(generation === undefined ? record : milvusRecord(record, generation));
  const placed = (collection: Collection): Collection => ({
    ...collection,
    startOffsets: new Map([...collection.startOffsets].map(([name, index]) => [name, queue.position(name, index)])),
  });
  const catalog = (own: Catalog): Catalog => ({ ...own, collections: own.collections.map(placed) });
  const { meta } = source;
  const placedMeta: MetaSource = {
    ...meta,
    snapshot: async (signal) => {
      const snapshot = await meta.snapshot(signal);
      return { ...snapshot, catalog: catalog(snapshot.catalog) };
    },
    watch: async function* (revision, signal) {
      for await (const change of meta.watch(revision, signal)) yield { ...change, catalog: catalog(change.catalog) };
    },
    lookup: async (id, signal) => {
      const found = await meta.lookup(id, signal);
      return found.state === "live" ? { ...found, collection: placed(found.collection) } : found;
    },
  };
  const follow = (log: LogSource): Follow =>
    generation === undefined ? followOf(log, 2) : (request, signal) => followPchannel(log, request, signal);
  return {
    meta: placedMeta,
    get log() {
      return queue.log;
    },
    get follow() {
      return follow(queue.log);
    },
    binlogs: source.binlogs,
    describe: source.describe,
    ticking: () => source.ticking(),
  };
}
