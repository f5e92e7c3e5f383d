import assert from "node:assert/strict";
import fc from "fast-check";
import { int64Literal, stringLiteral } from "../../../pipeline/columns/mod.ts";
import { keyRanges, keysExpression } from "../../../sinks/milvus/key_expression.ts";
import { NASTY_KEYS } from "./sample.ts";

Deno.test("keysExpression writes int64 keys exactly, the smallest in a form that 2.3 parses", () => {
  const keys = { kind: "int64", values: [2n ** 53n + 1n, -(2n ** 63n), 2n ** 63n - 1n] } as const;
  assert.equal(
    keysExpression("id", keys),
    "id in [9007199254740993,-9223372036854775807 - 1,9223372036854775807]",
  );
  assert.equal(int64Literal(-1n), "-1");
  assert.equal(keysExpression("id", { kind: "int64", values: new BigInt64Array([1n, 2n, 3n]) }, 1, 3), "id in [2,3]");
});

Deno.test("stringLiteral cannot be left by any key", () => {
  for (const key of NASTY_KEYS) {
    const literal = stringLiteral(key);
    assert.equal(JSON.parse(literal), key);
    assert.ok(!/[^\\](?:\\\\)*"/.test(literal.slice(1, -1)), `an unescaped quote in ${literal}`);
    // deno-lint-ignore no-control-regex
    assert.ok(!/[\0-\x1f]/.test(literal));
  }
});

Deno.test("keyRanges covers every key once, in order, within the bounds", () => {
  const key = fc.string({ maxLength: 40, unit: "binary" });
  fc.assert(
    fc.property(
      fc.array(key),
      fc.integer({ min: 1, max: 7 }),
      fc.integer({ min: 1, max: 300 }),
      (values, maxKeys, maxBytes) => {
        let next = 0;
        for (const { start, end } of keyRanges({ kind: "varchar", values }, { maxKeys, maxBytes })) {
          assert.equal(start, next);
          assert.ok(end > start && end - start <= maxKeys);
          next = end;
        }
        assert.equal(next, values.length);
      },
    ),
  );
});
