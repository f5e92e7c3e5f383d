import assert from "node:assert/strict";
import { decodeSnapshot } from "../../../sources/meta/snapshot.ts";
import type { MetaRecord } from "../../../sources/meta/keys.ts";
import { binlogRecords, collectionRecord, logRecord, segmentRecord } from "./records_of.ts";
import { ROOTS } from "./vectors.ts";

const NOW_MS = 1_735_689_600_000;
const FULL = { 0: 10n, 1: 10n, 100: 10n, 101: 10n };
const signs = (...records: MetaRecord[]) =>
  decodeSnapshot([collectionRecord(), ...records], { ...ROOTS, takenAtMs: NOW_MS }).torn
    .map(({ segmentId, what, fatal }) => `${segmentId} ${what}${fatal ? "" : " (not fatal)"}`);

Deno.test("findTorn is silent about whole segments, fields added later included", () => {
  assert.deepEqual(signs(segmentRecord(1n), ...binlogRecords(1n, FULL)), []);
  assert.deepEqual(signs(segmentRecord(1n), ...binlogRecords(1n, { ...FULL, 102: 4n })), []);
  assert.deepEqual(signs(segmentRecord(1n, { state: 2 })), []);
  assert.deepEqual(signs(segmentRecord(1n, { state: 3, numOfRows: 99n }), ...binlogRecords(1n, FULL)), []);
});

Deno.test("findTorn sees missing keys and fields that disagree", () => {
  assert.deepEqual(signs(segmentRecord(1n)), ["1 is Flushed with 10 rows and has no binlog key"]);
  assert.deepEqual(signs(segmentRecord(1n), ...binlogRecords(1n, { 0: 10n, 101: 10n })), [
    "1 is Flushed and lacks the binlog key of field 1",
    "1 is Flushed and lacks the binlog key of field 100",
  ]);
  assert.deepEqual(signs(segmentRecord(1n), ...binlogRecords(1n, { ...FULL, 101: 9n })), [
    "1 has 9 rows in the binlogs of field 101 but 10 in those of 1",
  ]);
  assert.deepEqual(signs(segmentRecord(1n), ...binlogRecords(1n, { ...FULL, 102: 11n })), [
    "1 has 11 rows in the binlogs of field 102 but 10 in those of 1",
  ]);
  assert.deepEqual(signs(segmentRecord(1n, { numOfRows: 12n }), ...binlogRecords(1n, FULL)), [
    "1 is Flushed with 12 rows but its binlogs hold 10 (not fatal)",
  ]);
});

Deno.test("findTorn has a segment that was made just now read again where a field has no files: they may be about to be named", () => {
  const made = (agoMs: number) => BigInt(NOW_MS - agoMs) << 18n;
  const lacking = (agoMs: number) => signs(segmentRecord(made(agoMs)), ...binlogRecords(made(agoMs), FULL));
  assert.deepEqual(lacking(5_000), [`${made(5_000)} is new and lacks the binlog keys of fields 102 (not fatal)`]);
  assert.deepEqual(lacking(120_000), [], "rows of before the field was added");
  assert.deepEqual(signs(segmentRecord(made(0)), ...binlogRecords(made(0), { ...FULL, 102: 10n })), []);
  // Column groups: each names its fields, or nobody knows them.
  const groups = (...children: bigint[][]) =>
    signs(
      segmentRecord(made(0), { storageVersion: 2n }),
      ...children.map((childFields, i) =>
        logRecord("binlog", made(0), BigInt(i), [{ entriesNum: 10n, logID: 5n }], undefined, childFields)
      ),
    );
  assert.deepEqual(groups([0n, 1n, 100n], [101n]), [
    `${made(0)} is new and lacks the binlog keys of fields 102 (not fatal)`,
  ]);
  assert.deepEqual(groups([0n, 1n, 100n, 102n], [101n]), []);
  assert.deepEqual(groups([0n, 1n, 100n], []), []);
});

Deno.test("findTorn sees half a compaction, while it is recent", () => {
  const dropped = (id: bigint, agoMs: number) =>
    segmentRecord(id, { state: 6, compacted: true, droppedAt: BigInt(NOW_MS - agoMs) * 1_000_000n });
  assert.deepEqual(signs(dropped(1n, 5_000)), [
    "1 is Dropped with compacted=true, dropped_at is recent (use 1735689600 s as the time of reading) and no segment lists it in compactionFrom",
  ]);
  assert.deepEqual(signs(dropped(1n, 120_000)), []);
  const child = segmentRecord(3n, { compactionFrom: [1n, 2n], createdByCompaction: true });
  assert.deepEqual(signs(dropped(1n, 5_000), dropped(2n, 5_000), child, ...binlogRecords(3n, FULL)), []);
  // The result was empty and is Dropped itself.
  assert.deepEqual(signs(dropped(1n, 5_000), segmentRecord(3n, { state: 6, compactionFrom: [1n], numOfRows: 0n })), []);
  assert.deepEqual(
    signs(dropped(1n, 5_000), segmentRecord(2n), ...binlogRecords(2n, FULL), child, ...binlogRecords(3n, FULL)),
    ["3 is compacted from 1, which is Dropped, and 2, which is not"],
  );
});

Deno.test("findTorn wants the delta logs of an L0 segment", () => {
  const l0 = segmentRecord(1n, { level: 1, partitionID: -1n, numOfRows: 0n });
  assert.deepEqual(signs(l0), ["1 is L0 and lacks the key of its delta logs"]);
  assert.deepEqual(signs(l0, logRecord("deltalog", 1n, 0n, [{ entriesNum: 3n, logID: 4n }], -1n)), []);
});

Deno.test("findTorn asks no binlog keys of a segment kept by a manifest, and believes none of its keys", () => {
  const manifestPath = JSON.stringify({ ver: 3, base_path: "files/insert_log/100/101/1" });
  const kept = segmentRecord(1n, { manifestPath, storageVersion: 3n });
  assert.deepEqual(signs(kept), []);
  // Sums under numbers that no file has, as 2.6 and 3.0.0 write them.
  const made = [kept, ...binlogRecords(1n, { 0: 9n, 101: 3n })];
  assert.deepEqual(signs(...made), []);
  const [segment] = decodeSnapshot([collectionRecord(), ...made], { ...ROOTS, takenAtMs: NOW_MS }).segments;
  assert.deepEqual([segment!.class, segment!.binlogs, segment!.deltalogs], ["rows", [], []]);
  assert.equal(segment!.manifestPath, manifestPath);
});
