import assert from "node:assert/strict";
import type { ObjectInfo } from "../../../pipeline/model/mod.ts";
import { inKeyOrder } from "../../../stores/objects/key_order.ts";

async function* pages(...keys: string[][]): AsyncIterable<ObjectInfo[]> {
  for (const page of keys) yield page.map((key) => ({ key, size: 1n, etag: "", modifiedMs: 0 }));
}

Deno.test("inKeyOrder sorts a page, and refuses a store that is out of order across pages", async () => {
  const keys = async (...given: string[][]) =>
    (await Array.fromAsync(inKeyOrder(pages(...given), "azure://c@e"))).map((info) => info.key);
  assert.deepEqual(await keys(["b/1", "b.json"], ["c"], []), ["b.json", "b/1", "c"]);
  await assert.rejects(keys(["b/1"], ["b.json"]), {
    code: "unsupported",
    message: "azure://c@e lists b.json after b/1, which is not key order",
  });
  await assert.rejects(keys(["a"], ["a"]), { code: "unsupported" });
});
