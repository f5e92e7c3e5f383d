import assert from "node:assert/strict";
import fc from "fast-check";
import { readEnvelope } from "../../../sources/binlog/mod.ts";
import { bytesSource, openParquet } from "../../../stores/mod.ts";
import { envelopeOf, int64Parquet } from "./build.ts";

const read = (bytes: Uint8Array) => readEnvelope(bytesSource(bytes), "insert_log/1/2/3/100/4 (segment 3)");

Deno.test("readEnvelope reads descriptor, extras and every event by its length", async () => {
  const payloads = [int64Parquet([1n, 2n]), int64Parquet([3n])];
  const extras = { original_size: "16", nullable: true, long: "x".repeat(10_000) };
  const { descriptor, events } = await read(envelopeOf(1, payloads, { fieldId: 100n, extras }));
  assert.equal(descriptor.fieldId, 100n);
  assert.deepEqual(descriptor.extras, extras);
  assert.equal(events.length, 2);
  assert.equal((await openParquet(events[0]!.payload, "first")).rows, 2);
  assert.equal((await openParquet(events[1]!.payload, "second")).rows, 1);
});

Deno.test("readEnvelope calls every truncation of a file damaged", async () => {
  const file = envelopeOf(1, int64Parquet([1n, 2n, 3n]), { fieldId: 100n });
  for (let length = 0; length < file.length; length++) {
    await assert.rejects(read(file.subarray(0, length)), {
      code: "damaged",
      message: /insert_log\/1\/2\/3\/100\/4 \(segment 3\)/,
    });
  }
});

Deno.test("readEnvelope never fails but by damaged or unsupported, whatever the bytes", async () => {
  const file = envelopeOf(1, int64Parquet([1n, 2n, 3n]), { fieldId: 100n });
  await fc.assert(
    fc.asyncProperty(fc.nat(file.length - 1), fc.uint8Array({ minLength: 1, maxLength: 8 }), async (at, change) => {
      const bytes = file.slice();
      bytes.set(change.subarray(0, bytes.length - at), at);
      try {
        for (const { payload } of (await read(bytes)).events) await openParquet(payload, "payload");
      } catch (error) {
        assert.ok(["damaged", "unsupported"].includes((error as { code: string }).code), String(error));
      }
    }),
  );
});

Deno.test("readEnvelope refuses encrypted files", async () => {
  const file = envelopeOf(1, int64Parquet([1n]), { extras: { edek: "key", encryption_zone: 1 } });
  await assert.rejects(read(file), { code: "unsupported", message: /encrypted/ });
});
