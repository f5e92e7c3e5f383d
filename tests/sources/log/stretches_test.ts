import assert from "node:assert/strict";
import { measureOf, type Stretch } from "../../../sources/log/stretches.ts";

/** Number in front of 8 bits of the entry. */
const at = (number: bigint, entry: bigint) => (number << 8n) + entry;
const measure = (stretches: readonly Stretch[]) =>
  measureOf(stretches, (position) => ({ number: position >> 8n, entry: position & 255n }));
const stretch = (number: bigint, entries: bigint, bytes: bigint, first = 0n): Stretch => ({
  number,
  first,
  entries,
  bytes,
});

Deno.test("measureOf is exact over whole stretches, and takes the mean within one", () => {
  const { bytes } = measure([stretch(1n, 10n, 100n), stretch(4n, 10n, 9000n), stretch(6n, 20n, 200n)])!;
  assert.equal(bytes(at(1n, 0n), at(6n, 20n)), 9300n);
  assert.equal(bytes(at(1n, 10n), at(6n, 0n)), 9000n);
  assert.equal(bytes(at(4n, 5n), at(4n, 8n)), 2700n);
  assert.equal(bytes(at(0n, 3n), at(1n, 10n)), 100n, "from before the log's beginning");
  assert.equal(bytes(at(6n, 20n), at(6n, 20n)), 0n);
});

Deno.test("measureOf counts what was written since with the mean: of its stretch, or of all where that is new", () => {
  const { bytes } = measure([stretch(1n, 10n, 1000n), stretch(2n, 10n, 100n)])!;
  assert.equal(bytes(at(2n, 5n), at(2n, 15n)), 100n);
  assert.equal(bytes(at(2n, 5n), at(3n, 2n)), 50n + 110n);
  assert.equal(bytes(at(7n, 5n), at(7n, 7n)), 110n);
});

Deno.test("measureOf knows a log whose beginning is gone, and says nothing of one without a record", () => {
  const { bytes } = measure([stretch(0n, 50n, 5000n, 100n)])!;
  assert.equal(bytes(at(0n, 90n), at(0n, 150n)), 5000n);
  assert.equal(bytes(at(0n, 140n), at(0n, 150n)), 1000n);
  assert.equal(measure([]), undefined);
  assert.equal(measure([stretch(0n, 0n, 0n)]), undefined);
});
