import assert from "node:assert/strict";
import fc from "fast-check";
import { TidemarkError } from "../../../pipeline/errors.ts";
import type { Keys } from "../../../pipeline/model/mod.ts";
import { DeadRows, type DeadSegment, partsFor } from "../../../pipeline/transforms/mod.ts";

const MAX = 2n ** 64n - 1n;

function int64(...values: bigint[]): Keys {
  return { kind: "int64", values };
}

function plain(found: Map<bigint, DeadSegment>): unknown {
  return [...found].map(([id, { dead, counts }]) => [id, [...dead], counts]);
}

Deno.test("DeadRows drops what is later, deleted or superseded, and says how many", () => {
  const finder = new DeadRows({ cutTs: 100n, partitions: "scoped" });
  finder.addDeletes({ partitionId: 1n, keys: int64(1n, 2n), timestamps: [50n, 10n] });
  finder.addDeletes({ partitionId: -1n, keys: int64(3n), timestamps: [60n] });
  finder.addRows(7n, 1n, 10, int64(1n, 2n, 3n, 4n, 5n), BigUint64Array.of(49n, 10n, 59n, 20n, 101n));
  finder.addRows(8n, 1n, 0, int64(4n, 1n), BigUint64Array.of(30n, 50n));
  assert.deepEqual(plain(finder.finish()), [
    [7n, [10, 12, 13, 14], { later: 1, deleted: 2, duplicates: 1 }],
    [8n, [], { later: 0, deleted: 0, duplicates: 0 }],
  ]);
});

Deno.test("DeadRows keeps partitions apart only where they are scopes of their own", () => {
  const rows = (partitions: "scoped" | "any") => {
    const finder = new DeadRows({ cutTs: 100n, partitions });
    finder.addDeletes({ partitionId: 1n, keys: int64(1n), timestamps: [50n] });
    finder.addRows(7n, 1n, 0, int64(1n, 2n), BigUint64Array.of(10n, 10n));
    finder.addRows(8n, 2n, 0, int64(1n, 2n), BigUint64Array.of(10n, 11n));
    return [...finder.finish().values()].map(({ dead }) => [...dead]);
  };
  assert.deepEqual(rows("scoped"), [[0], []]);
  assert.deepEqual(rows("any"), [[0, 1], [0]]);
});

Deno.test("DeadRows lets the later row of the later segment win at one timestamp, in any order of reading", () => {
  for (const order of [[7n, 8n], [8n, 7n]]) {
    const finder = new DeadRows({ cutTs: 100n, partitions: "scoped" });
    for (const id of order) finder.addRows(id, 1n, 0, int64(1n, 1n), BigUint64Array.of(5n, 5n));
    const found = finder.finish();
    assert.deepEqual([...found.get(7n)!.dead], [0, 1]);
    assert.deepEqual([...found.get(8n)!.dead], [0]);
  }
});

Deno.test("DeadRows compares unsigned 64-bit timestamps and both key extremes exactly", () => {
  const finder = new DeadRows({ cutTs: MAX, partitions: "scoped" });
  finder.addDeletes({
    partitionId: -1n,
    keys: int64(-(2n ** 63n), 2n ** 63n - 1n),
    timestamps: [2n ** 63n, 2n ** 32n],
  });
  finder.addRows(
    1n,
    1n,
    0,
    int64(-(2n ** 63n), 2n ** 63n - 1n, 2n ** 63n - 1n),
    BigUint64Array.of(2n ** 63n - 1n, 2n ** 32n, 2n ** 32n - 1n),
  );
  assert.deepEqual([...finder.finish().get(1n)!.dead], [0, 2]);
});

Deno.test("DeadRows refuses keys of another kind", () => {
  const finder = new DeadRows({ cutTs: 1n, partitions: "any" });
  finder.addDeletes({ partitionId: -1n, keys: int64(1n), timestamps: [1n] });
  assert.throws(
    () => finder.addRows(1n, 1n, 0, { kind: "varchar", values: ["a"] }, BigUint64Array.of(1n)),
    (error) => error instanceof TidemarkError && error.code === "damaged",
  );
  assert.throws(() => finder.addRows(1n, 1n, 0, int64(1n, 2n), BigUint64Array.of(1n)), RangeError);
});

interface Op {
  readonly del: boolean;
  readonly key: number;
  readonly ts: number;
  readonly partition: number;
  readonly segment: number;
}

const op: fc.Arbitrary<Op> = fc.record({
  del: fc.boolean(),
  key: fc.nat(12),
  ts: fc.nat(30),
  partition: fc.integer({ min: -1, max: 2 }),
  segment: fc.nat(3),
});

Deno.test("DeadRows is what a plain search over all pairs finds, for both key kinds, in any number of parts, deletes early or late", () => {
  const options = fc.record({
    ops: fc.array(op, { maxLength: 80 }),
    text: fc.boolean(),
    parts: fc.integer({ min: 1, max: 4 }),
    deletesFirst: fc.boolean(),
    upTo: fc.option(fc.nat(30)),
  });
  fc.assert(
    fc.property(options, ({ ops, text, parts, deletesFirst, upTo }) => {
      const keys = (key: number): Keys =>
        text ? { kind: "varchar", values: [`key ${key}`] } : { kind: "int64", values: [BigInt(key)] };
      const ordered = deletesFirst ? [...ops].sort((a, b) => Number(b.del) - Number(a.del)) : ops;
      const alive = new Map<number, Set<number>>();
      const counts = new Map<number, number>();
      const rows = ordered.filter((item) => !item.del).map((item) => {
        const index = counts.get(item.segment) ?? 0;
        counts.set(item.segment, index + 1);
        // A segment is of one partition.
        return { ...item, partition: item.segment % 3, index };
      });
      const cut = 25;
      const deletes = ops.filter((item) => item.del && item.ts <= (upTo ?? 1000));
      const stays = rows.filter((row) =>
        row.ts <= cut &&
        !deletes.some((mark) =>
          mark.key === row.key && (mark.partition === -1 || mark.partition === row.partition) && row.ts < mark.ts
        )
      );
      for (const row of stays) {
        const beaten = stays.some((other) =>
          other.key === row.key && other.partition === row.partition && other !== row &&
          (other.ts !== row.ts
            ? other.ts > row.ts
            : other.segment !== row.segment
            ? other.segment > row.segment
            : other.index > row.index)
        );
        if (!beaten) (alive.get(row.segment) ?? alive.set(row.segment, new Set()).get(row.segment)!).add(row.index);
      }
      const dead = new Map<number, number[]>();
      for (let part = 0; part < parts; part++) {
        const limit = upTo === null ? {} : { deletesUpTo: BigInt(upTo) };
        const finder = new DeadRows({ cutTs: BigInt(cut), partitions: "scoped", part, parts, ...limit });
        let at = 0;
        for (const item of ordered) {
          if (item.del) {
            finder.addDeletes({
              partitionId: BigInt(item.partition),
              keys: keys(item.key),
              timestamps: [BigInt(item.ts)],
            });
          } else {
            const row = rows[at++]!;
            finder.addRows(
              BigInt(row.segment),
              BigInt(row.partition),
              row.index,
              keys(row.key),
              BigUint64Array.of(BigInt(row.ts)),
            );
          }
        }
        for (const [id, found] of finder.finish()) {
          const { later, deleted, duplicates } = found.counts;
          assert.equal(later + deleted + duplicates, found.dead.length);
          dead.set(Number(id), [...dead.get(Number(id)) ?? [], ...found.dead]);
        }
      }
      for (const [segment, count] of counts) {
        const gone = dead.get(segment)!;
        assert.equal(new Set(gone).size, gone.length);
        const left = Array.from({ length: count }, (_, index) => index).filter((index) => !gone.includes(index));
        assert.deepEqual(new Set(left), alive.get(segment) ?? new Set());
      }
    }),
    { numRuns: 500 },
  );
});

Deno.test("partsFor splits by the budget, at least one part, and its estimate holds for real tables", () => {
  assert.equal(partsFor(0, 0, 1), 1);
  assert.equal(partsFor(1000, 0, 1e9), 1);
  assert.ok(partsFor(1_000_000, 0, 16e6, "int64") >= 3);
  const rows = 300_000;
  const budget = 4_000_000;
  const parts = partsFor(rows, 0, budget, "int64");
  const finder = new DeadRows({ cutTs: MAX, partitions: "scoped", part: 0, parts });
  const keys = BigInt64Array.from({ length: rows }, (_, i) => 455_000_000_000_000_000n + BigInt(i));
  finder.addRows(1n, 1n, 0, { kind: "int64", values: keys }, new BigUint64Array(rows));
  assert.ok(finder.bytes <= budget * 1.1, `${finder.bytes} bytes`);
});
