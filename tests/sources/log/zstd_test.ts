import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { zstdCompressSync, zstdDecompressSync } from "node:zlib";
import fc from "fast-check";
import { decompressZstd } from "../../../sources/log/zstd.ts";

/** What cannot be compressed, what can be a little, and what can be very much. */
function plainOf(size: number, kind: "random" | "text" | "zeros"): Uint8Array {
  if (kind === "zeros") return new Uint8Array(size);
  if (kind === "text") {
    return new TextEncoder().encode("some words about a row, as they come. ".repeat(size / 30)).subarray(0, size);
  }
  const bytes = new Uint8Array(size);
  for (let at = 0; at < size; at += 65_536) crypto.getRandomValues(bytes.subarray(at, at + 65_536));
  return bytes;
}

/** What a decoder makes of it, cut-off payloads become nothing; undefined where it throws. */
function made(decode: () => Uint8Array): Uint8Array | undefined {
  try {
    return new Uint8Array(decode());
  } catch {
    return undefined;
  }
}

Deno.test("decompressZstd gives every payload back to the byte, on both sides of its limit", () => {
  for (const kind of ["random", "text", "zeros"] as const) {
    for (const size of [1, 2, 100, 1000, 65_536, 262_143, 262_144, 262_145, 1_000_000]) {
      const plain = plainOf(size, kind);
      const found = decompressZstd(new Uint8Array(zstdCompressSync(plain)), size);
      assert.equal(Buffer.compare(found, plain), 0, `${size} bytes of ${kind}`);
    }
  }
});

Deno.test("decompressZstd keeps no view of what it reads from or decompresses into", () => {
  const [first, second] = [plainOf(1000, "random"), plainOf(1000, "random")];
  const payload = new Uint8Array(zstdCompressSync(first));
  const found = decompressZstd(payload, 1000);
  payload.fill(0);
  decompressZstd(new Uint8Array(zstdCompressSync(second)), 1000);
  assert.deepEqual(found, first);
  assert.equal(found.buffer.byteLength, 1000);
});

Deno.test("decompressZstd gives of a broken payload, or for another length, what the platform gives", () => {
  const payload = new Uint8Array(zstdCompressSync(plainOf(300, "text")));
  const sizes = fc.oneof(fc.constant(300), fc.integer({ min: 1, max: 700 }));
  const breaks = fc.array(fc.tuple(fc.nat(payload.length - 1), fc.integer({ min: 1, max: 255 })), { maxLength: 3 });
  fc.assert(
    fc.property(sizes, breaks, fc.nat(payload.length), (size, broken, length) => {
      const bytes = payload.slice(0, broken.length === 0 ? length : undefined);
      for (const [at, mask] of broken) bytes[at]! ^= mask;
      const found = made(() => decompressZstd(bytes, size));
      const expected = made(() => zstdDecompressSync(bytes, { chunkSize: Math.max(64, size), maxOutputLength: size }));
      // That a frame's head asks for much memory, which nothing here takes, is an obstacle to the platform alone.
      if (expected !== undefined || broken.every(([at]) => at > 5)) assert.deepEqual(found, expected);
    }),
  );
});

Deno.test("decompressZstd does not grow with the payloads that it could not read", () => {
  const payload = new Uint8Array(zstdCompressSync(plainOf(200_000, "random"))).subarray(0, 100_000);
  const before = Deno.memoryUsage().rss;
  for (let i = 0; i < 1000; i++) assert.ok(decompressZstd(payload, 200_000).length < 200_000);
  // 1000 times 300 KB would be 300 MB.
  assert.ok(Deno.memoryUsage().rss - before < 150 << 20);
});
