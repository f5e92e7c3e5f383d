import { woodpeckerPosition } from "../../../../pipeline/positions/mod.ts";
import { createWoodpeckerLog, WoodpeckerLogs } from "../../../../sources/log/mod.ts";
import { createMemoryStore } from "../../../../stores/mod.ts";
import { testLogSource } from "../../../conformance/log.ts";
import { EtcdKeys } from "../../../fakes/etcd_keys.ts";
import { WoodpeckerWriter } from "../../../fakes/woodpecker_writer.ts";

/** Small, so that every test goes over several. */
const ENTRIES = 10;

for (const version of [5, 6] as const) {
  testLogSource(`createWoodpeckerLog, format ${version},`, () => {
    const store = createMemoryStore();
    const keys = new EtcdKeys();
    const logs = new WoodpeckerLogs(keys, ["woodpecker"]);
    const writer = new WoodpeckerWriter(store, keys, { version });
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
        await Promise.resolve();
      },
      deleteTopic: async (topic) => {
        writer.delete(topic);
        await Promise.resolve();
      },
      append: async (topic, values) => {
        const messages = values.map(({ value, headers = {} }) => ({ value: value ?? new Uint8Array(), headers }));
        await writer.write(topic, messages, ENTRIES);
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
