import assert from "node:assert/strict";
import { TidemarkError } from "../../../pipeline/errors.ts";
import { Settling } from "../../../sources/meta/settling.ts";
import { decodeSnapshot, type MetaReading } from "../../../sources/meta/snapshot.ts";
import { binlogRecords, collectionRecord, segmentRecord } from "./records_of.ts";
import { ROOTS } from "./vectors.ts";

const never = new AbortController().signal;
const AT = { ...ROOTS, takenAtMs: 1_735_689_600_000 };
const whole = decodeSnapshot(
  [collectionRecord(), segmentRecord(1n), ...binlogRecords(1n, { 0: 10n, 1: 10n, 100: 10n, 101: 10n })],
  AT,
);
const torn = decodeSnapshot([collectionRecord(), segmentRecord(1n)], AT);

function settling() {
  const slept: number[] = [];
  const settling = new Settling({
    endpoint: () => "etcd:2379",
    random: () => 1,
    sleep: (ms) => {
      slept.push(ms);
      return Promise.resolve();
    },
    onRetry: () => {},
  });
  const reads = (...readings: (MetaReading | TidemarkError)[]) => () => {
    const next = readings.length > 1 ? readings.shift()! : readings[0]!;
    return next instanceof TidemarkError ? Promise.reject(next) : Promise.resolve(next);
  };
  return { slept, settling, reads };
}

Deno.test("Settling reads again what was read in the middle of a change, or whose revision is gone", async () => {
  const { slept, settling: own, reads } = settling();
  const gone = new TidemarkError("position_lost", "compacted");
  const reading = await own.read(reads(torn, gone, torn, whole), never);
  assert.deepEqual([reading.segments.length, reading.unusable?.size], [1, 0]);
  assert.deepEqual(slept, [200, 800]);
});

Deno.test("Settling holds what stays torn against its collection, and waits for it once", async () => {
  const { slept, settling: own, reads } = settling();
  const { unusable } = await own.read(reads(torn), never);
  assert.match(unusable!.get(100n)!, /middle of a change at revision 0: segment 1 is Flushed .* no binlog key/);
  assert.equal(slept.length, 5);
  const again = await own.read(reads(torn), never);
  assert.deepEqual([[...again.unusable!.keys()], slept.length], [[100n], 5]);
  assert.equal((await own.read(reads(whole), never)).unusable!.size, 0);
  await own.read(reads(torn, whole), never);
  assert.equal(slept.length, 6, "what was whole meanwhile is a new change");
});
