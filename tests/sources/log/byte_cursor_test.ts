import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import fc from "fast-check";
import { ByteCursor } from "../../../sources/log/byte_cursor.ts";
import { inPieces } from "./batches.ts";

type Step =
  | { readonly read: "int8" | "int16" | "int32" | "int64" | "unsigned" | "signed" | "signed64" }
  | { readonly view: number }
  | { readonly pieces: number }
  | { readonly skip: number };

const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 3,
    arbitrary: fc.record({
      read: fc.constantFrom("int8", "int16", "int32", "int64", "unsigned", "signed", "signed64"),
    }),
  },
  fc.record({ view: fc.integer({ min: 0, max: 6000 }) }),
  fc.record({ pieces: fc.integer({ min: 0, max: 6000 }) }),
  fc.record({ skip: fc.integer({ min: 0, max: 6000 }) }),
);

/** What the steps read, and where the first that cannot be read stands. */
function walk(cursor: ByteCursor, steps: readonly Step[]): unknown[] {
  const seen: unknown[] = [];
  for (const item of steps) {
    try {
      if ("read" in item) seen.push(cursor[item.read]());
      else if ("view" in item) seen.push(new Uint8Array(cursor.view(item.view)));
      else if ("pieces" in item) {
        const { length, slice } = cursor.pieces(item.pieces);
        seen.push(new Uint8Array(slice(0, length)), new Uint8Array(slice(length >> 2, length >> 1)));
      } else if (item.skip <= cursor.left) cursor.position += item.skip;
      seen.push(cursor.position, cursor.left);
    } catch (error) {
      assert.ok(error instanceof RangeError);
      return [...seen, "end"];
    }
  }
  return seen;
}

Deno.test("ByteCursor reads the same from bytes in pieces as from bytes in one", () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 0, max: 30_000 }),
      fc.integer({ min: 1, max: 5000 }),
      fc.array(step, { maxLength: 40 }),
      (length, size, steps) => {
        // Small bytes end a varint soon.
        const bytes = new Uint8Array(randomBytes(length)).map((byte) => byte % 5 === 0 ? byte : byte & 0x7f);
        const whole = walk(new ByteCursor(bytes), steps);
        assert.deepEqual(walk(new ByteCursor(inPieces(bytes, size)), steps), whole);
      },
    ),
    { numRuns: 300 },
  );
});

Deno.test("ByteCursor throws a RangeError for a number or a length that the bytes do not hold", () => {
  for (const source of [new Uint8Array(3), inPieces(new Uint8Array(3), 1)]) {
    assert.throws(() => new ByteCursor(source).int32(), RangeError);
    assert.throws(() => new ByteCursor(source).view(4), RangeError);
    assert.throws(() => new ByteCursor(source).view(-1), RangeError);
    assert.throws(() => new ByteCursor(source).pieces(4), RangeError);
  }
  assert.throws(() => new ByteCursor(new Uint8Array(11).fill(0xff)).signed64(), RangeError);
  assert.throws(() => new ByteCursor(new Uint8Array(11).fill(0xff)).unsigned(), RangeError);
});
