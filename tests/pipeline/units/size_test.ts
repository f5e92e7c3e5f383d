import assert from "node:assert/strict";
import fc from "fast-check";
import { formatSize, parseSize, size } from "../../../pipeline/units/mod.ts";

Deno.test("parseSize reads binary and decimal units, fractions and plain bytes", () => {
  assert.equal(parseSize("64MiB"), 64 * 2 ** 20);
  assert.equal(parseSize("1.5GiB"), 1.5 * 2 ** 30);
  assert.equal(parseSize("200kB"), 200_000);
  assert.equal(parseSize(" 12 KiB "), 12_288);
  assert.equal(parseSize("77"), 77);
  assert.equal(parseSize(77), 77);
});

Deno.test("parseSize refuses what is not a size", () => {
  for (const text of ["", "MiB", "-1", "1.2.3MiB", "5 apples", "1e9", "99999999999TiB", -1, 1.5, NaN]) {
    assert.equal(parseSize(text), undefined, String(text));
  }
});

Deno.test("formatSize writes what parseSize reads back within its rounding", () => {
  assert.equal(formatSize(0), "0 B");
  assert.equal(formatSize(1536), "1.5 KiB");
  assert.equal(formatSize(100 * 2 ** 20), "100 MiB");
  assert.equal(formatSize(2n ** 40n), "1 TiB");
  fc.assert(fc.property(fc.integer({ min: 0, max: 2 ** 46 }), (bytes) => {
    const again = parseSize(formatSize(bytes));
    assert.ok(again !== undefined && Math.abs(again - bytes) <= bytes * 0.006 + 1);
  }));
});

Deno.test("size checks its limits with a sentence", () => {
  const schema = size({ min: 1024, max: 2 ** 20 });
  assert.equal(schema.parse("1MiB"), 2 ** 20);
  assert.match(schema.safeParse("1B").error!.issues[0]!.message, /at least 1 KiB/);
  assert.match(schema.safeParse("2MiB").error!.issues[0]!.message, /at most 1 MiB/);
  assert.match(schema.safeParse("many").error!.issues[0]!.message, /64MiB/);
});
