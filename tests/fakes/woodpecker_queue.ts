/** A source in memory whose log is a Woodpecker, written one step at a time as its nodes write it. */
import type { LogSource } from "../../pipeline/model/mod.ts";
import { woodpeckerPosition } from "../../pipeline/positions/mod.ts";
import { createWoodpeckerLog, WoodpeckerLogs } from "../../sources/log/mod.ts";
import { createMemoryStore } from "../../stores/mod.ts";
import { EtcdKeys } from "./etcd_keys.ts";
import { QueueWriter } from "./queue_writer.ts";
import type { FakeQueue } from "./queued_source.ts";
import { WoodpeckerWriter } from "./woodpecker_writer.ts";

export interface WoodpeckerPlace {
  readonly writer: WoodpeckerWriter;
  open(): LogSource | Promise<LogSource>;
  /** Resolves once what the writer has done to keys is there. */
  settled(): Promise<void>;
  close(): Promise<void>;
}

/** Entries of a segment; small, so that they roll, are fenced and compacted all the time. */
const ENTRIES = 10;

export async function woodpeckerQueue(place: WoodpeckerPlace = inMemory()): Promise<FakeQueue> {
  const { writer } = place;
  const topics: string[] = [];
  const queue = new QueueWriter(async (topic, records) => {
    const messages = records.map(({ value, headers }) => ({ value: value!, headers: Object.fromEntries(headers) }));
    const written = await writer.write(topic, messages, ENTRIES);
    await place.settled();
    return written.map(([segment, entry]) => woodpeckerPosition(segment, entry));
  });
  let log = await place.open();
  return {
    generation: 2,
    get log() {
      return log;
    },
    reopen: async () => {
      await log.close();
      log = await place.open();
    },
    create: (topic) => {
      topics.push(topic);
      writer.create(topic);
      queue.create(topic);
    },
    append: (record) => queue.append(record),
    position: (topic, index) => queue.position(topic, index),
    written: () => queue.written(),
    // As by a node that takes the log over.
    move: () =>
      queue.meanwhile(async () => {
        for (const topic of topics) if (writer.begun(topic)) await writer.roll(topic);
        await place.settled();
      }),
    [Symbol.asyncDispose]: async () => {
      await queue.written();
      await log.close();
      await place.close();
    },
  };
}

function inMemory(): WoodpeckerPlace {
  const [store, keys] = [createMemoryStore(), new EtcdKeys()];
  return {
    writer: new WoodpeckerWriter(store, keys),
    open: () => {
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
    },
    settled: () => Promise.resolve(),
    close: () => Promise.resolve(),
  };
}
