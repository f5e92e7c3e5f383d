/** What an import brings by a division, together with the rest, is exactly what lives. The import is modelled as 2.3.5 does it. */
import assert from "node:assert/strict";
import fc from "fast-check";
import { DeadRows, divideSegment, type Division } from "../../../pipeline/transforms/mod.ts";

interface Row {
  readonly key: bigint;
  readonly ts: bigint;
}

const MS = 1n << 18n;
const PARTITION = 7n;

/** Batches of three rows. */
function reader(rows: readonly Row[]) {
  return async function* () {
    for (let at = 0; at < rows.length; at += 3) {
      const batch = rows.slice(at, at + 3);
      yield {
        firstRow: at,
        keys: { kind: "int64" as const, values: batch.map(({ key }) => key) },
        timestamps: BigUint64Array.from(batch.map(({ ts }) => ts)),
      };
    }
  };
}

function deadOf(rows: readonly Row[], deletes: readonly Row[], cutTs: bigint) {
  const finder = new DeadRows({ cutTs, deletesUpTo: cutTs, partitions: "scoped" });
  for (const { key, ts } of deletes) {
    finder.addDeletes({ partitionId: -1n, keys: { kind: "int64", values: [key] }, timestamps: [ts] });
  }
  const keys = { kind: "int64" as const, values: BigInt64Array.from(rows.map(({ key }) => key)) };
  finder.addRows(1n, PARTITION, 0, keys, BigUint64Array.from(rows.map(({ ts }) => ts)));
  return finder.finish().get(1n)!;
}

/** Milvus 2.3.5: rows within the end, less those that are older than a delete of their key within the end. */
function imported(rows: readonly Row[], { endMs, deletes }: Division): number[] {
  const end = endMs === undefined ? 2n ** 64n - 1n : endMs << 18n;
  const killed = new Map<bigint, bigint>();
  for (const [i, key] of (deletes?.keys.values ?? []).entries() as ArrayIterator<[number, bigint]>) {
    const ts = deletes!.timestamps[i]!;
    if (ts <= end) killed.set(key, ts);
  }
  return rows.flatMap(({ key, ts }, i) => ts <= end && (killed.get(key) ?? 0n) <= ts ? [i] : []);
}

const arbitraryTs = fc.tuple(fc.bigInt(1n, 6n), fc.bigInt(0n, 2n)).map(([ms, logical]) => ms * MS + logical);
const arbitraryRow = fc.record({ key: fc.bigInt(0n, 6n), ts: arbitraryTs });

Deno.test("divideSegment leaves the import and the rest exactly the rows that live, each once", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(arbitraryRow, { maxLength: 30 }),
      fc.array(arbitraryRow, { maxLength: 10 }),
      arbitraryTs,
      async (rows, deletes, cutTs) => {
        const dead = deadOf(rows, deletes, cutTs);
        const division = await divideSegment({
          cutTs,
          partitionId: PARTITION,
          rows: rows.length,
          dead,
          read: reader(rows),
          maxDeletes: 1000,
        });
        assert(typeof division !== "string");
        const gone = new Set(dead.dead);
        const alive = rows.flatMap((_, i) => gone.has(i) ? [] : [i]);
        const brought = imported(rows, division);
        assert.equal(brought.length, division.imported);
        assert.deepEqual([...brought, ...division.rest].sort((a, b) => a - b), alive);
        const end = division.endMs === undefined ? undefined : division.endMs << 18n;
        // A delete beyond the end would not count, a row beyond the cut must not come.
        for (const ts of division.deletes?.timestamps ?? []) assert.ok(end === undefined || ts <= end);
        assert.ok(end === undefined || end <= cutTs);
      },
    ),
    { numRuns: 2000 },
  );
});

async function divided(rows: readonly Row[], deletes: readonly Row[], cutTs: bigint, maxDeletes = 100) {
  const dead = deadOf(rows, deletes, cutTs);
  return await divideSegment({
    cutTs,
    partitionId: PARTITION,
    rows: rows.length,
    dead,
    read: reader(rows),
    maxDeletes,
  });
}

Deno.test("divideSegment needs neither an end nor a file of deletes where every row lives, and reads nothing then", async () => {
  const rows = [{ key: 1n, ts: MS }, { key: 2n, ts: 2n * MS }];
  const division = await divideSegment({
    cutTs: 9n * MS,
    partitionId: PARTITION,
    rows: 2,
    dead: deadOf(rows, [], 9n * MS),
    read: () => assert.fail("it read"),
    maxDeletes: 1,
  });
  assert.deepEqual(division, { endMs: undefined, deletes: undefined, imported: 2, rest: new Uint32Array() });
});

Deno.test("divideSegment writes by rows what lies between the last whole millisecond and the cut", async () => {
  const rows = [{ key: 1n, ts: MS }, { key: 2n, ts: 2n * MS + 1n }, { key: 3n, ts: 2n * MS + 2n }];
  const division = await divided(rows, [], 2n * MS + 1n) as Division;
  assert.deepEqual([division.endMs, division.imported, [...division.rest]], [2n, 1, [1]]);
});

Deno.test("divideSegment writes the one that counts of two rows with one key and one timestamp by rows", async () => {
  const rows = [{ key: 1n, ts: MS }, { key: 1n, ts: MS }, { key: 2n, ts: MS }];
  const division = await divided(rows, [], 9n * MS) as Division;
  assert.deepEqual([division.imported, [...division.rest]], [1, [1]]);
  assert.deepEqual(division.deletes, {
    partitionId: PARTITION,
    keys: { kind: "int64", values: [1n] },
    timestamps: [MS + 1n],
  });
});

Deno.test("divideSegment says so where there are too many deletes", async () => {
  const rows = [1n, 2n, 3n].map((key) => ({ key, ts: MS }));
  const reason = await divided(rows, rows.map(({ key }) => ({ key, ts: 2n * MS })), 9n * MS, 2);
  assert.equal(reason, "more than 2 of its rows are deleted");
});
