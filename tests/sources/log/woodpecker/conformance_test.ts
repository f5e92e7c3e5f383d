import { woodpeckerPosition } from "../../../../pipeline/positions/mod.ts";
import { createWoodpeckerLog, WoodpeckerLogs } from "../../../../sources/log/mod.ts";
import { createMemoryStore } from "../../../../stores/mod.ts";
import { testLogSource } from "../../../conformance/log.ts";
import { EtcdKeys } from "../../../fakes/etcd_keys.ts";
import { WoodpeckerWriter } from "../../../fakes/woodpecker_writer.ts";

/** Small, so that every test goes over several. */
const ENTRIES = 10;
const BLOCK_ENTRIES = 5;

for (const version of [5, 6] as const) {
  testLogSource(`createWoodpeckerLog, format ${version},`, () => {
    const store = createMemoryStore();
    const keys = new EtcdKeys();
    const logs = new WoodpeckerLogs(keys, ["woodpecker"]);
    const writer = new WoodpeckerWriter(store, keys, { version });
    const held = new Map<string, number>();
    const log = createWoodpeckerLog({
      store,
      root: "files/wp",
      isFolder: false,
      logs,
      pollMs: 1,
      idlePollMs: 2,
    });
    const position = (index: number) =>
      woodpeckerPosition(BigInt(Math.floor(index / ENTRIES)), BigInt(index % ENTRIES));
    return Promise.resolve({
      source: { ...bound(log), close: () => logs.close() },
      position,
      nulls: false,
      createTopic: async (topic) => {
        writer.create(topic);
        held.set(topic, 0);
        await Promise.resolve();
      },
      deleteTopic: async (topic) => {
        writer.delete(topic);
        await Promise.resolve();
      },
      append: async (topic, values) => {
        for (let at = 0; at < values.length;) {
          const inSegment = held.get(topic)! % ENTRIES;
          if (inSegment === 0 && held.get(topic)! > 0) {
            const full = writer.last(topic);
            writer.begin(topic);
            if (full % 2 === 0) await writer.fence(topic, full);
            writer.complete(topic, full);
            if (full % 3 === 0) await writer.compact(topic, full, 2);
          }
          const part = values.slice(at, at + Math.min(BLOCK_ENTRIES, ENTRIES - inSegment));
          await writer.append(
            topic,
            part.map(({ value, headers = {} }) => ({ value: value ?? new Uint8Array(), headers })),
          );
          held.set(topic, held.get(topic)! + part.length);
          at += part.length;
        }
      },
      deleteRecords: async (topic, before) => {
        const segment = Number(before >> 64n);
        writer.truncate(topic, segment);
        for (let i = 0; i < segment; i++) await writer.remove(topic, i);
      },
      close: () => logs.close(),
    });
  });
}

function bound(log: ReturnType<typeof createWoodpeckerLog>): typeof log {
  return {
    queue: log.queue,
    topics: (signal) => log.topics(signal),
    bounds: (topic, signal) => log.bounds(topic, signal),
    tail: (...request) => log.tail(...request),
    check: (signal) => log.check(signal),
  };
}
