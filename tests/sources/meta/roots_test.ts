import assert from "node:assert/strict";
import { emptyCatalog, type FoundRoot, likeliestFirst } from "../../../sources/meta/roots.ts";
import type { EtcdClient } from "../../../stores/mod.ts";

Deno.test("likeliestFirst puts the root with the oldest collections first, one without any last", () => {
  const root = (name: string, since?: bigint): FoundRoot => ({ root: name, collections: since ? 1 : 0, since });
  const target = root("a-target/meta");
  const copied = root("b-target/meta", 9n);
  const source = root("c-source/meta", 5n);
  assert.deepEqual(likeliestFirst([target, copied, source]), [source, copied, target]);
  assert.deepEqual(likeliestFirst([root("b"), root("a")]).map(({ root }) => root), ["a", "b"]);
});

Deno.test("emptyCatalog lists the roots that there are, and says that a target may have one of its own", async () => {
  const keys = ["a-target/meta/root-coord/x", "by-dev/meta/root-coord/x"];
  const etcd = {
    endpoint: "http://etcd:2379",
    async *range(prefix: string, { from = "" }: { from?: string } = {}) {
      const found = keys.filter((key) => key.startsWith(prefix) && key >= from);
      yield await Promise.resolve({ kvs: found.slice(0, 1).map((key) => ({ key, value: new Uint8Array() })) });
    },
  } as unknown as EtcdClient;
  const { message, hint } = await emptyCatalog(
    etcd,
    { metaRoot: "wrong/meta", kvRoot: "wrong/kv" },
    new AbortController().signal,
  );
  assert.match(message, /below a-target\/meta\/ \(no collections\), by-dev\/meta\/ \(no collections\)$/);
  assert.match(hint!, /root_path: a-target or root_path: by-dev: that of the source\. A target .* root of its own/);
});
