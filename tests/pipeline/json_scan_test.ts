import assert from "node:assert/strict";
import fc from "fast-check";
import { formatJson, parseJson } from "../../pipeline/json.ts";
import { scanJson } from "../../pipeline/json_scan.ts";

const INTEGER = /^-?\d+$/;

/** The engine's parser with a reviver. */
function revived(text: string, all: boolean): unknown {
  const revive = (_key: string, value: unknown, context: { source?: string }) =>
    typeof value !== "number" || !INTEGER.test(context.source ?? "")
      ? value
      : all || !Number.isSafeInteger(value)
      ? BigInt(context.source!)
      : value;
  return JSON.parse(text, revive as (key: string, value: unknown) => unknown);
}

function outcome(parse: () => unknown): unknown {
  try {
    return { value: parse() };
  } catch (error) {
    return { name: (error as Error).name, message: (error as Error).message };
  }
}

const values = fc.jsonValue().chain((plain) =>
  fc.tuple(
    fc.constant(plain),
    fc.bigInt({ min: -(1n << 70n), max: 1n << 70n }),
    fc.string({ unit: "binary" }),
    fc.double(),
  ).map(([plain, big, text, double]) => ({ plain, big, [text]: [double, big, text, { "__proto__x": plain }] }))
);

Deno.test("scanJson says of every document what JSON.parse with a reviver says, indented or not", () => {
  fc.assert(fc.property(values, fc.boolean(), fc.nat(2), (value, all, indent) => {
    const text = formatJson(value, indent);
    assert.deepEqual(scanJson(text, all), revived(text, all));
  }));
});

const PARTS = [
  ...'{}[],:"\\ \n\t\u0001\ufeff-+.eE0123456789ntu/',
  "null",
  "true",
  "false",
  "9007199254740991",
  "9007199254740992",
  "-9007199254740993",
  '"a"',
  '"__proto__"',
  "\\u00e9",
  '"\\""',
  '"\\\\"',
  "1.0",
  "-0",
  "01",
  "1e400",
  "[1",
  '{"a":1',
]; // deno-fmt-ignore-line

Deno.test("parseJson takes and refuses what JSON.parse does, with its words", () => {
  let good = 0;
  fc.assert(
    fc.property(fc.array(fc.constantFrom(...PARTS), { maxLength: 12 }), fc.boolean(), (parts, all) => {
      const text = parts.join("");
      const wanted = outcome(() => revived(text, all));
      if (typeof wanted === "object" && "value" in wanted!) good++;
      assert.deepEqual(outcome(() => parseJson(text, all ? { bigint: "all" } : {})), wanted, text);
    }),
    { numRuns: 20_000 },
  );
  assert.ok(good > 100, `${good} of them were JSON`);
  for (const text of ['{"__proto__":{"a":1}}', '{"a":1,"a":2}', '{"2":1,"1":2}', "[-0]", '["\\ud800"]', '"\u2028"']) {
    assert.deepEqual(parseJson(text), revived(text, false), text);
    assert.deepEqual(Object.keys(parseJson(text) as object), Object.keys(revived(text, false) as object), text);
  }
});

Deno.test("parseJson looks at the digits of an integer, wherever in the document it stands", () => {
  const text =
    '{"rows": 9007199254740991, "tick":461373440000000001,"why":"461373440000000001, \\"x\\": 461373440000000001"}';
  assert.deepEqual(parseJson(text), {
    rows: 9007199254740991,
    tick: 461373440000000001n,
    why: '461373440000000001, "x": 461373440000000001',
  });
  assert.deepEqual(parseJson("[1, 1.0, -7]", { bigint: "all" }), [1n, 1, -7n]);
});
