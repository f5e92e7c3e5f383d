import assert from "node:assert/strict";
import { createFileStore } from "../../../stores/mod.ts";
import { objectStoreConformance } from "../../conformance/objects.ts";

objectStoreConformance("file", async () => {
  const folder = await Deno.makeTempDir();
  return {
    store: createFileStore(`${folder}/store`),
    sibling: createFileStore(`${folder}/sibling/`),
    async [Symbol.asyncDispose]() {
      await Deno.remove(folder, { recursive: true });
    },
  };
});

Deno.test("createFileStore leaves no temporary file and hides those of a killed run", async () => {
  const folder = await Deno.makeTempDir();
  try {
    const store = createFileStore(folder);
    await store.put("a/b", new Uint8Array([1]));
    await store.put("a/b", new Uint8Array([2]), { ifAbsent: true }).catch(() => {});
    assert.deepEqual(Array.from(Deno.readDirSync(`${folder}/a`), (entry) => entry.name), ["b"]);
    Deno.writeTextFileSync(`${folder}/a/.tidemark-01234567-89ab-4cde-8f01-23456789abcd.tmp`, "half");
    assert.deepEqual((await Array.fromAsync(store.list(""))).map((info) => info.key), ["a/b"]);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("createFileStore refuses an object in the way of another", async () => {
  const folder = await Deno.makeTempDir();
  try {
    const store = createFileStore(folder);
    await store.put("a", new Uint8Array([1]));
    await assert.rejects(store.put("a/b", new Uint8Array([1])), { code: "refused" });
    await store.put("c/d", new Uint8Array([1]));
    await assert.rejects(store.put("c", new Uint8Array([1])), { code: "refused" });
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
