/** A {@link FakeSource} whose log lies in another queue, and is read from there by the queue's own reader. */
import type { Catalog, Collection, LogRecord, LogSource, MetaSource, Position } from "../../pipeline/model/mod.ts";
import { woodpeckerPosition } from "../../pipeline/positions/mod.ts";
import { MessageType } from "../../pipeline/proto/gen/messages_pb.ts";
import { createWoodpeckerLog, WoodpeckerLogs } from "../../sources/log/mod.ts";
import { createMemoryStore } from "../../stores/mod.ts";
import { addChannel, dumpLog } from "../sources/log/dump/log.ts";
import { DumpServer } from "./dump_server.ts";
import { EtcdKeys } from "./etcd_keys.ts";
import type { PipelineSource } from "./pipeline.ts";
import { type FakeSource, followOf, recordFacts } from "./source.ts";
import { WoodpeckerWriter } from "./woodpecker_writer.ts";

export interface FakeQueue extends AsyncDisposable {
  readonly log: LogSource;
  /** As a process does that is started anew. */
  reopen(): Promise<void>;
  create(topic: string): void;
  /** Behind what the topic has. */
  append(record: LogRecord): void;
  /** Of the topic's `index`-th record. */
  position(index: bigint): Position;
  /** Resolves once all can be read. */
  written(): Promise<void>;
}

/** Entries of a segment; small, so that they roll, are fenced and compacted all the time. */
const ENTRIES = 10n;

/** On object storage. */
export function woodpeckerQueue(): FakeQueue {
  const store = createMemoryStore();
  const keys = new EtcdKeys();
  const writer = new WoodpeckerWriter(store, keys);
  const waiting = new Map<string, LogRecord[]>();
  let writing = Promise.resolve();
  const open = (): LogSource => {
    const logs = new WoodpeckerLogs(keys, ["woodpecker"]);
    const log = createWoodpeckerLog({ store, root: "files/wp", isFolder: false, logs, pollMs: 1, idlePollMs: 2 });
    return {
      queue: log.queue,
      topics: (signal) => log.topics(signal),
      bounds: (topic, signal) => log.bounds(topic, signal),
      tail: (...request) => log.tail(...request),
      check: (signal) => log.check(signal),
      close: () => logs.close(),
    };
  };
  let log = open();
  return {
    get log() {
      return log;
    },
    reopen: async () => {
      await log.close();
      log = open();
    },
    create: (topic) => {
      writer.create(topic);
      waiting.set(topic, []);
    },
    append: (record) => {
      waiting.get(record.topic)!.push(record);
      writing = writing.then(() =>
        writer.write(
          record.topic,
          waiting.get(record.topic)!.splice(0).map(({ value }) => ({ value: value! })),
          Number(ENTRIES),
        )
      );
    },
    position: (index) => woodpeckerPosition(index / ENTRIES, index % ENTRIES),
    written: () => writing,
    [Symbol.asyncDispose]: async () => {
      await writing;
      await log.close();
    },
  };
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
    position: (index) => index + FIRST,
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
  source.log.onRecord = (record) => queue.append(record);
  const placed = (collection: Collection): Collection => ({
    ...collection,
    startOffsets: new Map([...collection.startOffsets].map(([name, index]) => [name, queue.position(index)])),
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
  return {
    meta: placedMeta,
    get log() {
      return queue.log;
    },
    get follow() {
      return followOf(queue.log, 2);
    },
    binlogs: source.binlogs,
    describe: source.describe,
    ticking: () => source.ticking(),
  };
}
