import assert from "node:assert/strict";
import { deflateSync, zstdCompressSync } from "node:zlib";
import fc from "fast-check";
import { TidemarkError } from "../../../../pipeline/errors.ts";
import { pulsarPosition } from "../../../../pipeline/positions/mod.ts";
import { CompressionType } from "../../../../pipeline/proto/gen/pulsar_api_pb.ts";
import { readEntry } from "../../../../sources/log/pulsar/entry.ts";
import { lz4Block } from "./lz4.ts";
import { batchPayload, messageOf } from "./messages.ts";

const text = new TextEncoder();
const place = { ledger: 3n, entry: 8n };
const CODECS: [CompressionType, (plain: Uint8Array) => Uint8Array][] = [
  [CompressionType.NONE, (plain) => plain],
  [CompressionType.LZ4, lz4Block],
  [CompressionType.ZLIB, (plain) => new Uint8Array(deflateSync(plain))],
  [CompressionType.ZSTD, (plain) => new Uint8Array(zstdCompressSync(plain))],
];

Deno.test("readEntry reads a message of its own and a batch, of every compression, to the byte", () => {
  const value = fc.option(fc.uint8Array({ maxLength: 400 }), { nil: null });
  const properties = fc.dictionary(fc.string({ maxLength: 8 }), fc.string({ unit: "grapheme", maxLength: 8 }), {
    maxKeys: 3,
  });
  const messages = fc.array(fc.record({ value, properties }), { minLength: 1, maxLength: 9 });
  fc.assert(
    fc.property(messages, fc.boolean(), fc.constantFrom(...CODECS), (messages, single, [compression, compress]) => {
      const written = single ? messages.slice(0, 1) : messages;
      const plain = single ? written[0]!.value ?? new Uint8Array(0) : batchPayload(written);
      const rest = messageOf({
        compression,
        uncompressedSize: plain.length,
        ...(single
          ? {
            properties: Object.entries(written[0]!.properties).map(([key, value]) => ({ key, value })),
            ...(written[0]!.value === null ? { nullValue: true } : {}),
          }
          : { numMessagesInBatch: written.length }),
      }, compress(plain));
      const { records, position, end } = readEntry({ ...place, rest }, "by-dev-rootcoord-dml_0");
      assert.deepEqual([position, end], [pulsarPosition({ ...place, batch: 0 }), position + BigInt(written.length)]);
      assert.deepEqual(
        records.map(({ topic, offset, timestampMs, headers, value }) => ({
          topic,
          offset,
          timestampMs,
          headers: headers.map(([name, bytes]) => [name, new TextDecoder("utf-8", { ignoreBOM: true }).decode(bytes)]),
          value: value === null ? null : new Uint8Array(value),
        })),
        written.map(({ value, properties }, i) => ({
          topic: "by-dev-rootcoord-dml_0",
          offset: position + BigInt(i),
          timestampMs: 1_700_000_000_000n,
          headers: Object.entries(properties),
          value,
        })),
      );
    }),
  );
});

Deno.test("readEntry knows a batch of one by the number that is there", () => {
  const one = batchPayload([{ value: text.encode("x") }]);
  const batch = readEntry(
    { ...place, rest: messageOf({ numMessagesInBatch: 1, uncompressedSize: one.length }, one) },
    "t",
  );
  assert.equal(new TextDecoder().decode(batch.records[0]!.value!), "x");
  const plain = readEntry({ ...place, rest: messageOf({ uncompressedSize: one.length }, one) }, "t");
  assert.deepEqual(new Uint8Array(plain.records[0]!.value!), one);
});

Deno.test("readEntry counts a broker's own marker as an entry without a record", () => {
  const { records, position, end } = readEntry(
    { ...place, rest: messageOf({ markerType: 10 }, text.encode("?")) },
    "t",
  );
  assert.deepEqual([records, end - position], [[], 1n]);
});

Deno.test("readEntry refuses by name what Milvus never writes", () => {
  const cases: [Parameters<typeof messageOf>[0], RegExp][] = [
    [{ compression: CompressionType.SNAPPY, uncompressedSize: 3 }, /compressed by SNAPPY/],
    [{ encryptionKeys: [{ key: "k", value: Uint8Array.of(1) }] }, /3:8 of t is encrypted/],
    [{ numChunksFromMsg: 2, chunkId: 0 }, /one of several chunks/],
    [{ txnidLeastBits: 0n, txnidMostBits: 1n }, /a transaction of Pulsar/],
  ];
  for (const [metadata, message] of cases) {
    assert.throws(
      () => readEntry({ ...place, rest: messageOf(metadata, text.encode("abc")) }, "t"),
      (thrown: unknown) => {
        assert.ok(thrown instanceof TidemarkError);
        assert.equal(thrown.code, "unsupported");
        assert.match(thrown.message, message);
        return true;
      },
    );
  }
});

Deno.test("readEntry throws RangeError where lengths do not fit together", () => {
  const batch = batchPayload([{ value: text.encode("one") }, { value: text.encode("two") }]);
  const rest = (count: number, payload = batch) =>
    messageOf({ numMessagesInBatch: count, uncompressedSize: payload.length }, payload);
  assert.equal(readEntry({ ...place, rest: rest(2) }, "t").records.length, 2);
  assert.throws(() => readEntry({ ...place, rest: rest(1) }, "t"), /more than its 1 messages/);
  assert.throws(() => readEntry({ ...place, rest: rest(3) }, "t"), /Message 2 of a batch is cut short/);
  for (let length = 0; length < batch.length; length++) {
    assert.throws(() => readEntry({ ...place, rest: rest(2, batch.subarray(0, length)) }, "t"), RangeError);
  }
  const zstd = new Uint8Array(zstdCompressSync(batch));
  for (const uncompressedSize of [0, batch.length - 1, batch.length + 1, 2 ** 31]) {
    const rest = messageOf({ compression: CompressionType.ZSTD, numMessagesInBatch: 2, uncompressedSize }, zstd);
    assert.throws(() => readEntry({ ...place, rest }, "t"), RangeError);
  }
});
