import assert from "node:assert/strict";
import { TidemarkError } from "../../../../pipeline/errors.ts";
import { connectEtcd } from "../../../../stores/etcd.ts";
import { createEtcdStateStore } from "../../../../stores/state/mod.ts";
import { testStateStore } from "../../../conformance/state.ts";
import { stackEnv } from "../../../stack/env.ts";

const never = new AbortController().signal;
const endpoint = () => stackEnv().ETCD_ENDPOINT!;
const connect = () => connectEtcd({ endpoints: [endpoint()] });

async function removeAll(prefix: string): Promise<void> {
  await using client = connect();
  for await (const page of client.range(`${prefix}/`, { keysOnly: true })) {
    for (const { key } of page.kvs) await client.delete(key);
  }
}

testStateStore("createEtcdStateStore", () => {
  const prefix = `tidemark-test-state-${crypto.randomUUID()}`;
  return Promise.resolve({
    open: () => createEtcdStateStore({ client: connect(), prefix, pipeline: "p" }),
    loseLease: async () => {
      await using client = connect();
      await client.delete(`${prefix}/p/lease`);
    },
    crashWhileWriting: async () => {
      await using client = connect();
      await client.put(`${prefix}/p/data/000000000000000000000000`, "half a document");
    },
    close: () => removeAll(prefix),
  });
}, { large: 5_000_000 });

Deno.test("createEtcdStateStore removes pieces that no head names, and keeps no more than the document", async () => {
  const prefix = `tidemark-test-state-${crypto.randomUUID()}`;
  await using client = connect();
  const keys = async () => {
    const found: string[] = [];
    for await (const page of client.range(`${prefix}/p/data/`, { keysOnly: true })) {
      found.push(...page.kvs.map((kv) => kv.key));
    }
    return found;
  };
  await client.put(`${prefix}/p/data/orphan`, "left by a killed writer");
  const store = createEtcdStateStore({ client: connect(), prefix, pipeline: "p" });
  {
    await using _lease = await store.lock(never);
    assert.deepEqual(await keys(), []);
    await store.write("x".repeat(2_000_000));
    assert.ok((await keys()).length >= 1);
    await store.write("small");
    assert.equal((await keys()).length, 1);
    await store.write("");
    assert.deepEqual(await keys(), []);
    assert.equal(await store.read(), "");
  }
  assert.equal(await client.get(`${prefix}/p/lease`), undefined);
  await store.close();
  await removeAll(prefix);
});

Deno.test("createEtcdStateStore writes little when little of a large document changed", async () => {
  const prefix = `tidemark-test-state-${crypto.randomUUID()}`;
  await using client = connect();
  const lines = Array.from(
    { length: 100_000 },
    (_, index) => `  {"segment": ${470597784452279572n + BigInt(index)}, "done": true},`,
  );
  const store = createEtcdStateStore({ client: connect(), prefix, pipeline: "p" });
  {
    await using _lease = await store.lock(never);
    await store.write(lines.join("\n"));
    const before = (await client.get(`${prefix}/p/head`))!.modRevision;
    lines[50_000] = '  {"segment": 1, "done": false, "why": "changed in the middle"},';
    lines.push("  one more at the end");
    await store.write(lines.join("\n"));
    assert.equal(await store.read() === lines.join("\n"), true);
    let bytes = 0;
    let pieces = 0;
    for await (const page of client.range(`${prefix}/p/data/`)) {
      for (const kv of page.kvs) {
        pieces++;
        if (kv.modRevision > before) bytes += kv.value.length;
      }
    }
    assert.ok(pieces > 20, `${pieces} pieces`);
    assert.ok(bytes < 400_000, `${bytes} bytes were written again`);
  }
  await store.close();
  await removeAll(prefix);
});

Deno.test("createEtcdStateStore finds a document whose pieces were damaged", async () => {
  const prefix = `tidemark-test-state-${crypto.randomUUID()}`;
  await using client = connect();
  const store = createEtcdStateStore({ client: connect(), prefix, pipeline: "p" });
  {
    await using _lease = await store.lock(never);
    await store.write("a document");
    for await (const page of client.range(`${prefix}/p/data/`, { keysOnly: true })) {
      for (const { key } of page.kvs) await client.put(key, "something else");
    }
    await assert.rejects(
      async () => await store.read(),
      (error: TidemarkError) => error.code === "damaged" && error.exitCode === 15,
    );
  }
  await store.close();
  await removeAll(prefix);
});

Deno.test("createEtcdStateStore fires lost when the etcd lease ends behind its back", async () => {
  const prefix = `tidemark-test-state-${crypto.randomUUID()}`;
  await using client = connect();
  const store = createEtcdStateStore({ client: connect(), prefix, pipeline: "p", leaseSecs: 2 });
  {
    await using lease = await store.lock(never);
    const key = await client.get(`${prefix}/p/lease`);
    assert.ok(key !== undefined && key.leaseId !== 0n);
    await client.delete(`${prefix}/p/lease`);
    await assert.rejects(async () => await store.write("x"), /its key is gone/);
    assert.equal(lease.lost.aborted, true);
  }
  await store.close();
  await removeAll(prefix);
});
