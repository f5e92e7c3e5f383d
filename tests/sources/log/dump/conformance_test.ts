import type { Position } from "../../../../pipeline/model/mod.ts";
import { pulsarPosition, woodpeckerPosition } from "../../../../pipeline/positions/mod.ts";
import type { DumpQueue } from "../../../../sources/log/dump/ids.ts";
import { testLogSource } from "../../../conformance/log.ts";
import { DumpServer } from "../../../fakes/dump_server.ts";
import { addChannel, dumpLog, removeChannel } from "./log.ts";

/** Small, so that every test goes over several segments and ledgers. */
const ENTRIES = 10;

const PLACES: Readonly<Record<DumpQueue, (index: number) => Position>> = {
  kafka: (index) => BigInt(index),
  woodpecker: (index) => woodpeckerPosition(BigInt(Math.floor(index / ENTRIES)), BigInt(index % ENTRIES)),
  pulsar: (index) =>
    pulsarPosition({ ledger: 7n + BigInt(Math.floor(index / ENTRIES)), entry: BigInt(index % ENTRIES), batch: 0 }),
};

/** The first record of a log is the tick of the node that made it, and none that is given. */
const FIRST = 1;

const RELEASES = [["woodpecker", true], ["woodpecker", false], ["kafka", true], ["pulsar", false]] as const;

for (const [queue, whole] of RELEASES) {
  testLogSource(
    `createDumpLog on ${queue}, of a release that ${whole ? "takes" : "leaves out"} the start,`,
    async () => {
      const server = await DumpServer.start({ queue, whole, ordered: false });
      const { log, etcd, close } = dumpLog(server);
      const held = new Map<string, number>();
      const place = PLACES[queue];
      return {
        source: log,
        nulls: false,
        createTopic: (topic) => {
          server.create(topic);
          addChannel(etcd, topic);
          held.set(topic, FIRST);
          return Promise.resolve();
        },
        deleteTopic: (topic) => {
          removeChannel(etcd, topic);
          server.delete(topic);
          return Promise.resolve();
        },
        append: (topic, values) => {
          const first = held.get(topic)!;
          held.set(topic, first + values.length);
          server.append(
            topic,
            values.map(({ value, headers = {} }, i) => ({
              topic,
              offset: place(first + i),
              timestampMs: 0n,
              // Their own ticks and transactions say nothing here.
              headers: Object.entries(headers).filter(([name]) => !["_t", "_tt", "_tx", "_lc"].includes(name)),
              value,
            })),
          );
          return Promise.resolve();
        },
        deleteRecords: (topic, before) => {
          server.truncate(topic, before);
          return Promise.resolve();
        },
        close: async () => {
          await close();
          await server[Symbol.asyncDispose]();
        },
      };
    },
    { counted: false, binaryHeaders: false },
  );
}
