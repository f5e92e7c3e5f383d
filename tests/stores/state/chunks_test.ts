import assert from "node:assert/strict";
import fc from "fast-check";
import { chunksOf } from "../../../stores/state/chunks.ts";

Deno.test("chunksOf gives pieces that make the document again, each within the limits", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(fc.string({ maxLength: 60 }), { maxLength: 3000 }), async (lines) => {
      const document = new TextEncoder().encode(lines.join("\n").repeat(20));
      const chunks = await chunksOf(document);
      assert.deepEqual(new Uint8Array(chunks.flatMap((chunk) => [...chunk.bytes])), document);
      for (const chunk of chunks) assert.ok(chunk.bytes.length <= 512 * 1024);
    }),
    { numRuns: 20 },
  );
});

Deno.test("chunksOf keeps most pieces when a line in the middle changes", async () => {
  const lines = Array.from({ length: 50_000 }, (_, index) => `{"segment": ${index}}`);
  const before = await chunksOf(new TextEncoder().encode(lines.join("\n")));
  lines.splice(25_000, 1, "changed", "and one more");
  const after = await chunksOf(new TextEncoder().encode(lines.join("\n")));
  const known = new Set(before.map((chunk) => chunk.id));
  assert.ok(before.length > 10);
  assert.ok(after.filter((chunk) => !known.has(chunk.id)).length <= 2);
});

Deno.test("chunksOf has none for an empty document", async () => {
  assert.deepEqual(await chunksOf(new Uint8Array()), []);
});
