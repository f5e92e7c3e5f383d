import assert from "node:assert/strict";
import fc from "fast-check";
import { parseDeltaCell, readDeltaFile } from "../../../sources/binlog/mod.ts";
import { bytesSource, createParquetFile } from "../../../stores/mod.ts";
import { envelopeOf, stringParquet } from "./build.ts";

const encode = (text: string) => new TextEncoder().encode(text);
const int64 = fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n });
const uint64 = fc.bigInt({ min: 0n, max: 2n ** 64n - 1n });
const anyText = fc.string({ unit: "grapheme" });
const folder = new URL("../../samples/parquet/", import.meta.url);

/** As Go's encoding/json writes a string. */
function goString(text: string): string {
  return JSON.stringify(text).replace(
    /[<>&\u2028\u2029]/g,
    (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
}

async function marks(bytes: Uint8Array, partition = 7n) {
  const found: [bigint | string, bigint][] = [];
  for await (const mark of readDeltaFile(bytesSource(bytes), "delta_log/1/7/3/4 (segment 3)", partition)) {
    assert.equal(mark.partitionId, partition);
    mark.keys.values.forEach((key: bigint | string, i: number) => found.push([key, mark.timestamps[i]!]));
  }
  return found;
}

Deno.test("parseDeltaCell keeps every int64 key and timestamp exact", () => {
  fc.assert(fc.property(int64, uint64, (pk, ts) => {
    assert.deepEqual(parseDeltaCell(encode(`{"pk":${pk},"ts":${ts},"pkType":5}`)), { pk, ts });
    assert.deepEqual(parseDeltaCell(encode(`{ "ts": ${ts}, "pkType": 5, "pk": ${pk} }`)), { pk, ts });
    assert.deepEqual(parseDeltaCell(encode(`${pk},${ts}`)), { pk, ts });
  }));
});

Deno.test("parseDeltaCell keeps every string key exact", () => {
  fc.assert(fc.property(anyText, uint64, (pk, ts) => {
    assert.deepEqual(parseDeltaCell(encode(`{"pk":${goString(pk)},"ts":${ts},"pkType":21}`)), { pk, ts });
  }));
  const nasty = ['"', "\\", 'k"3045\\é', "\u0000\u001f", "\u2028<&>", "😀", ',"ts":1,"pkType":5}', ""];
  for (const pk of nasty) assert.equal(parseDeltaCell(encode(`{"pk":${goString(pk)},"ts":1,"pkType":21}`)).pk, pk);
});

Deno.test("parseDeltaCell refuses what is no cell", () => {
  const bad = [
    "",
    "{",
    "null",
    "5",
    "a,1",
    "1,",
    "1,2,3",
    '{"pk":1}',
    '{"ts":1}',
    '{"pk":1.5,"ts":1}',
    '{"pk":null,"ts":1}',
  ];
  bad.push(
    `{"pk":${2n ** 63n},"ts":1,"pkType":5}`,
    `{"pk":1,"ts":${2n ** 64n},"pkType":5}`,
    '{"pk":1,"ts":-1,"pkType":5}',
  );
  bad.push('{"pk":"x,"ts":1,"pkType":21}', '{"pk":1,"ts":1,"pkType":5}x');
  for (const text of bad) assert.throws(() => parseDeltaCell(encode(text)), /./, text);
  fc.assert(fc.property(fc.uint8Array(), (bytes) => {
    try {
      parseDeltaCell(bytes);
    } catch (error) {
      assert.ok(error instanceof SyntaxError || error instanceof RangeError || error instanceof TypeError);
    }
  }));
});

Deno.test("readDeltaFile reads text and JSON cells in an envelope", async () => {
  const json = Array.from(
    { length: 500 },
    (_, i) => `{"pk":"k\\"${i}","ts":${470597853798465538n + BigInt(i)},"pkType":21}`,
  );
  assert.deepEqual(
    await marks(envelopeOf(2, stringParquet(json))),
    json.map((_, i) => [`k"${i}`, 470597853798465538n + BigInt(i)]),
  );
  assert.deepEqual(await marks(envelopeOf(2, stringParquet(["-5,470597853798465538"])), -1n), [[
    -5n,
    470597853798465538n,
  ]]);
});

Deno.test("readDeltaFile reads two columns, bare or in an envelope, by the magic alone", async () => {
  const numbers = Deno.readFileSync(new URL("delete-int64.parquet", folder));
  const strings = Deno.readFileSync(new URL("delete-varchar.parquet", folder));
  const stamps = Array.from({ length: 100 }, (_, i) => 470597853798465538n + BigInt(i));
  const expectNumbers = stamps.map((ts, i) => [-(2n ** 63n) + BigInt(i), ts]);
  const expectStrings = stamps.map((ts, i) => [`k"${i}\\é`, ts]);
  assert.deepEqual(await marks(numbers), expectNumbers);
  assert.deepEqual(await marks(strings), expectStrings);
  const extras = { original_size: "1", version: "MULTI_FIELD" };
  assert.deepEqual(await marks(envelopeOf(2, numbers, { extras })), expectNumbers);
  assert.deepEqual(await marks(envelopeOf(2, strings, { extras })), expectStrings);
});

Deno.test("readDeltaFile says which file and row cannot be read", async () => {
  const broken = envelopeOf(2, stringParquet(['{"pk":1,"ts":2,"pkType":5}', '{"pk":1,"ts":']));
  await assert.rejects(marks(broken), { code: "damaged", message: /delta_log\/1\/7\/3\/4 \(segment 3\).*row 1/ });
  const mixed = envelopeOf(2, stringParquet(['{"pk":1,"ts":2,"pkType":5}', '{"pk":"1","ts":2,"pkType":21}']));
  await assert.rejects(marks(mixed), { code: "damaged", message: /mixes/ });
  await assert.rejects(marks(encode("hello world")), { code: "damaged", message: /neither a binlog nor a Parquet/ });
  await assert.rejects(marks(new Uint8Array()), { code: "damaged" });
});

Deno.test("readDeltaFile names a file of deletes by predicate, and takes no plan for a key", async () => {
  const plan = encode("\n\u0002id");
  for (const [times, plans] of [[1, 0], [0, 1], [101, 102]] as const) {
    const file = createParquetFile([
      { name: "delete_ts", type: "int64", fieldId: times },
      { name: "serialized_expr_plan", type: "bytes", fieldId: plans },
    ], { createdBy: "test" });
    file.writeRowGroup([[463267587700000000n], [plan]]);
    await assert.rejects(
      marks(envelopeOf(2, file.finish(), { extras: { original_size: "9", version: "MULTI_FIELD" } })),
      {
        code: "unsupported",
        message: /delta_log\/1\/7\/3\/4 \(segment 3\) holds deletes by predicate/,
      },
    );
  }
});

Deno.test("readDeltaFile calls a file damaged whose row groups hold fewer rows than its footer counts", async () => {
  const file = stringParquet(Array.from({ length: 1000 }, (_, i) => `{"pk":${i},"ts":2,"pkType":5}`));
  assert.equal((await marks(envelopeOf(2, file))).length, 1000);
  // num_rows, the third field of the footer: 1000 as a varint becomes 1001.
  const footer = file.length - 8 - new DataView(file.buffer, file.byteOffset).getUint32(file.length - 8, true);
  const at = file.findIndex((_, i) => i >= footer && file[i] === 0x16 && file[i + 1] === 0xd0 && file[i + 2] === 0x0f);
  assert.ok(at > 0);
  file[at + 1] = 0xd2;
  await assert.rejects(marks(envelopeOf(2, file)), { code: "damaged", message: /has 1000 rows .* footer says 1001/ });
});
