/** How much of a log lies between two places, from what a queue says of the stretches that it keeps the log in. */
import type { LogMeasure, Position } from "../../pipeline/model/mod.ts";

/** A ledger, a segment, or a whole log that is not divided. */
export interface Stretch {
  /** Of the stretches of a log later ones have greater numbers. */
  readonly number: bigint;
  /** Of its first entry that is still there. */
  readonly first: bigint;
  readonly entries: bigint;
  readonly bytes: bigint;
}

export interface StretchPlace {
  readonly number: bigint;
  readonly entry: bigint;
}

/**
 * Undefined for a log of which nothing is known. What was written since counts with the mean of its stretch, or of all of them
 * where its stretch is new.
 *
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * import { measureOf } from "./stretches.ts";
 *
 * const ledger = { number: 7n, first: 0n, entries: 10n, bytes: 1000n };
 * const measure = measureOf([ledger, { ...ledger, number: 9n }], (at) => ({ number: at >> 8n, entry: at & 255n }));
 * assert.equal(measure?.bytes((7n << 8n) + 5n, (9n << 8n) + 20n), 2500n);
 * ```
 */
export function measureOf(
  stretches: readonly Stretch[],
  placeOf: (position: Position) => StretchPlace,
): LogMeasure | undefined {
  const full = stretches.filter(({ entries }) => entries > 0n);
  const all = full.reduce((sum, { entries, bytes }) => ({ entries: sum.entries + entries, bytes: sum.bytes + bytes }), {
    entries: 0n,
    bytes: 0n,
  });
  if (all.entries === 0n) return undefined;
  return {
    bytes(from, to) {
      const [a, b] = [placeOf(from), placeOf(to)];
      const known = full.find(({ number }) => number === b.number);
      let sum = known === undefined && b.number > a.number ? b.entry * all.bytes / all.entries : 0n;
      if (known === undefined && b.number === a.number) sum = atLeast0(b.entry - a.entry) * all.bytes / all.entries;
      for (const { number, first, entries, bytes } of full) {
        if (number < a.number || number > b.number) continue;
        const begin = number === a.number ? atLeast0(a.entry - first) : 0n;
        const end = number === b.number ? b.entry - first : entries;
        sum += atLeast0(end - begin) * bytes / entries;
      }
      return sum;
    },
  };
}

function atLeast0(value: bigint): bigint {
  return value < 0n ? 0n : value;
}
