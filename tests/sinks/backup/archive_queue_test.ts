import assert from "node:assert/strict";
import type { ArchivedRecord, Position, Queue } from "../../../pipeline/model/mod.ts";
import { positionsOf, pulsarPosition, woodpeckerPosition } from "../../../pipeline/positions/mod.ts";
import { createLogArchive } from "../../../sinks/backup/archive.ts";
import { checkArchive, createArchiveLog } from "../../../sources/backup/mod.ts";
import { createMemoryStore } from "../../../stores/mod.ts";
import { hungAfterMs } from "../../stack/patience.ts";

const signal = AbortSignal.timeout(hungAfterMs());
const AT = 470597853918265344n;

const PLACES: Readonly<Record<Exclude<Queue, "rocksmq" | "files">, readonly Position[]>> = {
  kafka: [41n, 42n, 50n, 51n],
  // Neither counts on: entries of another segment or ledger follow.
  woodpecker: [[3, 0], [3, 1], [4, 0], [7, 12]].map(([a, b]) => woodpeckerPosition(BigInt(a!), BigInt(b!))),
  pulsar: [[5, 0, 0], [5, 0, 1], [5, 1, 0], [9, 0, 3]].map(([ledger, entry, batch]) =>
    pulsarPosition({ ledger: BigInt(ledger!), entry: BigInt(entry!), batch: batch! })
  ),
};

function record(offset: Position, i: number): ArchivedRecord {
  const value = new TextEncoder().encode(`value ${i}`);
  return {
    record: { topic: "p", offset, timestampMs: 0n, headers: [], value },
    ts: AT + BigInt(i),
    vchannel: "",
    type: "insert",
  };
}

for (const [queue, places] of Object.entries(PLACES) as [Exclude<Queue, "rocksmq" | "files">, readonly Position[]][]) {
  Deno.test(`createLogArchive keeps the places of ${queue}: read back from each of them, its chain is whole`, async () => {
    const store = createMemoryStore();
    const open = () =>
      createLogArchive({
        store,
        name: "b",
        queue,
        roll: { size: 1 << 20, age: 1000, memory: 1 << 30 },
        createdBy: "test",
        startOffset: () => places[0]!,
        now: () => 0,
        passed: () => {},
      });
    for (const half of [places.slice(0, 2), places.slice(2)]) {
      // A run of its own: it must find where the one before ended.
      const archive = open();
      await archive.progress("p", signal);
      const all = places.map(record).filter(({ record: { offset } }) => offset <= half.at(-1)!);
      await archive.append("p", all, { offset: half.at(-1)!, tick: AT }, signal);
      await archive.flush(signal);
    }
    const cuts = [{ vchannel: "p_1v0", pchannel: "p", collectionId: 1n, offset: places[0]!, ts: AT }];
    const report = await checkArchive(store, "b", { cuts }, signal);
    assert.deepEqual(report.findings, []);
    assert.equal(report.pchannels[0]!.files, 2);
    const log = createArchiveLog({ store, name: "b", queue });
    assert.equal(log.queue, queue);
    for (const [i, from] of places.entries()) {
      const read: Position[] = [];
      for await (const { records } of log.tail("p", from, undefined, signal)) {
        read.push(...records.map(({ offset }) => offset));
      }
      assert.deepEqual(read, places.slice(i));
    }
    const beyond = log.tail("p", places.at(-1)! + 2n, undefined, signal)[Symbol.asyncIterator]();
    await assert.rejects(() => beyond.next(), new RegExp(`holds ${positionsOf(queue).format(places[0]!)} to `));
  });
}
