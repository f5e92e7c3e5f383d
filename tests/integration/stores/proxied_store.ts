/** A process that opens the store that it is given and uses it: the proxies of its environment are looked at once. */
import assert from "node:assert/strict";
import { collect, objectStoreSpec, openObjectStore } from "../../../stores/mod.ts";

const store = await openObjectStore(objectStoreSpec.parse(JSON.parse(Deno.args[0]!)), { retry: false });
const bytes = new Uint8Array(100_000).map((_, i) => i * 7);
await store.put("a/b", bytes);
assert.deepEqual(await store.get("a/b", { start: 10, end: 20 }), bytes.slice(10, 20));
assert.deepEqual(await collect(store.stream("a/b")), bytes);
assert.deepEqual((await Array.fromAsync(store.list("a/"))).map(({ key }) => key), ["a/b"]);
const part = new Uint8Array(1024 ** 2).fill(3);
await store.put(
  "large",
  (async function* () {
    for (let i = 0; i < 20; i++) yield part;
  })(),
);
assert.equal((await store.head("large"))?.size, 20n * 1024n ** 2n);
assert(await store.copyFrom(store, "a/b", "c"));
await store.delete(["a/b", "c", "large"]);
await store.close();
