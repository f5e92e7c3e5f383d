import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { Reader, readRecordsBatches } from "@platformatic/kafka";
import { crc32c as wasm } from "@platformatic/wasm-utils";
import fc from "fast-check";
import type { Pieces } from "../../../../sources/log/byte_cursor.ts";
import {
  assertWhole,
  frontOfOnly,
  headersLength,
  isControl,
  readBatches,
  recordsOf,
} from "../../../../sources/log/kafka/record_batch.ts";
import { crc32cInWindows, crc32cOf, crc32cOfAll, native } from "../../../../sources/log/crc32c.ts";
import { isUndecodable } from "../../../../sources/log/kafka/errors.ts";
import { at, batchOf, type Compression, inPieces, joined, otherCodec, type Written } from "../batches.ts";

const COMPRESSIONS: readonly Compression[] = ["none", "gzip", "snappy", "lz4", "zstd"];

const bytes = (max: number) => fc.uint8Array({ maxLength: max });
const written: fc.Arbitrary<Written> = fc.record({
  value: fc.option(bytes(300), { nil: null }),
  headers: fc.array(fc.tuple(fc.string({ minLength: 1, maxLength: 12 }), bytes(80)), { maxLength: 4 }),
});

/** What the client itself reads. */
function byClient(all: Uint8Array) {
  return readRecordsBatches(Reader.from(Buffer.from(all))).flatMap((batch) =>
    batch.records.map(({ offsetDelta, timestampDelta, value, headers }) => ({
      topic: "t",
      offset: batch.firstOffset + BigInt(offsetDelta),
      timestampMs: batch.firstTimestamp + timestampDelta,
      headers: headers.map(([name, content]) => [String(name), new Uint8Array(content ?? Buffer.alloc(0))]),
      value: value === null ? null : new Uint8Array(value as Buffer),
    }))
  );
}

function byUs(all: Uint8Array | Pieces) {
  return readBatches(all).flatMap((batch) => recordsOf(batch, "t", otherCodec)).map((record) => ({
    ...record,
    headers: record.headers.map(([name, content]) => [name, new Uint8Array(content)]),
    value: record.value === null ? null : new Uint8Array(record.value),
  }));
}

Deno.test("recordsOf reads what the Kafka client reads, in every compression", () => {
  fc.assert(
    fc.property(
      fc.array(fc.tuple(fc.array(written, { minLength: 1, maxLength: 6 }), fc.constantFrom(...COMPRESSIONS)), {
        minLength: 1,
        maxLength: 3,
      }),
      (batches) => {
        let offset = 41n;
        const all = joined(...batches.map(([records, compression]) => {
          const batch = at(batchOf(records, compression), offset);
          offset += BigInt(records.length);
          return batch;
        }));
        assert.deepEqual(byUs(all), byClient(all));
        assert.deepEqual(byUs(inPieces(all, 7)), byUs(all));
        assert.equal(readBatches(all).at(-1)!.lastOffset, offset - 1n);
      },
    ),
    { numRuns: 150 },
  );
});

Deno.test("readBatches leaves a batch that the broker cut off", () => {
  const first = batchOf([{ value: randomBytes(50) }], "zstd");
  const all = joined(first, at(batchOf([{ value: randomBytes(500) }]), 1n));
  for (const length of [first.length, first.length + 5, first.length + 13, first.length + 40, all.length - 1]) {
    assert.equal(readBatches(all.subarray(0, length)).length, 1, `${length} of ${all.length} bytes`);
  }
  assert.equal(readBatches(all).length, 2);
  assert.deepEqual(readBatches(new Uint8Array(0)), []);
});

Deno.test("readBatches and recordsOf throw for what is no batch, in a way that the loop takes for undecodable", () => {
  const undecodable = (thrown: unknown) => isUndecodable(thrown);
  const old = batchOf([{ value: randomBytes(50) }]);
  old[16] = 1;
  assert.throws(() => readBatches(old), undecodable);
  for (const compression of ["gzip", "zstd"] as const) {
    const broken = batchOf([{ value: randomBytes(5000) }], compression);
    broken.fill(0, 70);
    const [batch] = readBatches(broken);
    assert.throws(() => recordsOf(batch!, "t", otherCodec), undecodable, compression);
  }
  const short = batchOf([{ value: randomBytes(50) }]);
  new DataView(short.buffer).setInt32(57, 2);
  assert.throws(() => recordsOf(readBatches(short)[0]!, "t", otherCodec), undecodable);
});

Deno.test("assertWhole notices any bit that changed behind the checksum, and passes what a producer wrote", () => {
  fc.assert(
    fc.property(
      fc.array(written, { minLength: 1, maxLength: 4 }),
      fc.constantFrom(...COMPRESSIONS),
      fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }),
      fc.integer({ min: 1, max: 255 }),
      fc.constantFrom(7, 4096),
      (records, compression, where, change, size) => {
        const batch = batchOf(records, compression);
        const [whole] = readBatches(inPieces(batch, size));
        assertWhole(whole!, "t");
        assertWhole(readBatches(at(batch, 77n))[0]!, "t");
        batch[17 + Math.floor(where * (batch.length - 17))]! ^= change;
        const [broken] = readBatches(inPieces(batch, size));
        assert.throws(
          () => assertWhole(broken!, "t"),
          (thrown) => isUndecodable(thrown) && /of t has/.test(`${thrown}`),
        );
      },
    ),
    { numRuns: 300 },
  );
});

Deno.test("crc32cOf is the same with and without native code", () => {
  const ways: readonly ((head: Uint8Array, rest: Pieces) => number)[] = [
    crc32cOf,
    (head, rest) => crc32cInWindows(head, rest, native!),
    (head, rest) => crc32cOfAll(head, rest, wasm),
  ];
  const [head, rest] = ["1234", "56789"].map((part) => new TextEncoder().encode(part));
  const long = randomBytes(100_000);
  for (const way of ways) {
    assert.equal(way(head!, inPieces(rest!, 2)), 0xe3069283, "the check value of CRC-32C");
    assert.equal(way(head!, inPieces(long, 30_000)), wasm(Buffer.concat([head!, long])));
  }
});

Deno.test("isControl tells transaction markers", () => {
  const marker = batchOf([{ value: randomBytes(6) }]);
  new DataView(marker.buffer).setInt16(21, 48);
  assert.equal(isControl(readBatches(marker)[0]!), true);
  assert.equal(isControl(readBatches(batchOf([{ value: randomBytes(6) }]))[0]!), false);
});

const CONTENTS: readonly (readonly [string, Uint8Array])[] = [
  ["random bytes", randomBytes(3_000_000)],
  ["text that packs well", new TextEncoder().encode("the quick brown fox ".repeat(1_000_000))],
  ["half and half", joined(new Uint8Array(randomBytes(400_000)), new Uint8Array(2_000_000))],
];

for (const compression of ["none", "gzip", "zstd"] as const) {
  for (const [what, value] of CONTENTS) {
    Deno.test(`frontOfOnly tells the beginning of a large value (${compression}, ${what})`, () => {
      const headers = [["traceparent", randomBytes(55)]] as const;
      for (const some of [[], headers]) {
        const [batch] = readBatches(batchOf([{ value, headers: some }], compression));
        const front = frontOfOnly(batch!);
        // What packs so well that the batch is small is read whole.
        if (compression !== "none" && batch!.payload.length < 132 << 10) {
          assert.equal(front, undefined);
          continue;
        }
        assert.ok(front !== undefined && front.value.length >= 1000, `${front?.value.length} bytes`);
        assert.deepEqual(new Uint8Array(front.value), new Uint8Array(value.subarray(0, front.value.length)));
        assert.equal(
          front.headersLength,
          headersLength(some.map(([name, content]) => ({ name, bytes: content.length }))),
        );
      }
    });
  }
}

Deno.test("frontOfOnly says nothing of several records, of a null, and of codecs that cannot be begun", () => {
  const large = randomBytes(400_000);
  const front = (records: readonly Written[], compression: Compression) =>
    frontOfOnly(readBatches(batchOf(records, compression))[0]!);
  assert.equal(front([{ value: large }, { value: large }], "zstd"), undefined);
  assert.equal(front([{ value: null }], "none"), undefined);
  assert.equal(front([{ value: large }], "lz4"), undefined);
  assert.equal(front([{ value: large }], "snappy"), undefined);
});

Deno.test("recordsOf says of bytes that no codec takes that they are damaged, whatever the codec throws", () => {
  for (const codec of ["gzip", "snappy", "lz4", "zstd"] as const) {
    const whole = batchOf([{ value: new Uint8Array(300).fill(7) }], codec);
    // Behind the head of the batch: the length that the compressed bytes begin with, and what follows.
    const spoiled = whole.slice();
    for (let i = 61; i < spoiled.length; i++) spoiled[i]! ^= 0x5a;
    const [batch] = readBatches(spoiled);
    let thrown: unknown;
    try {
      recordsOf(batch!, "t", otherCodec);
    } catch (error) {
      thrown = error;
    }
    assert.ok(isUndecodable(thrown), `${codec}: ${String(thrown)}`);
  }
});
