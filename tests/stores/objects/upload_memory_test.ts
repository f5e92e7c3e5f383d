import assert from "node:assert/strict";
import { createAzureStore } from "../../../stores/objects/azure.ts";
import { type Block, sendBlocks } from "../../../stores/objects/blocks.ts";
import { createGcsStore } from "../../../stores/objects/gcs.ts";
import { createUploadMemory, UPLOAD_BYTES, type UploadMemory } from "../../../stores/objects/upload_memory.ts";
import type { ObjectStore } from "../../../pipeline/model/mod.ts";
import { FakeS3, s3Refusal } from "./fake_s3.ts";

/** Says what is held now, and what was at most. */
function metered(limit: number) {
  const inner = createUploadMemory(limit);
  const meter = { held: 0, most: 0 };
  const memory: UploadMemory = {
    async take(bytes, signal) {
      const block = await inner.take(bytes, signal);
      meter.held += bytes;
      meter.most = Math.max(meter.most, meter.held);
      return block;
    },
    give(block, again) {
      meter.held -= block.length;
      inner.give(block, again);
    },
  };
  return { meter, memory };
}

async function* chunks(length: number, size = 3): AsyncIterable<Uint8Array> {
  for (let at = 0; at < length; at += size) {
    await Promise.resolve();
    yield new Uint8Array(Math.min(size, length - at)).fill(at);
  }
}

Deno.test("createUploadMemory serves in order, and what is larger than all when nothing is held", async () => {
  const memory = createUploadMemory(10);
  const served: string[] = [];
  const taken: Uint8Array<ArrayBuffer>[] = [];
  const take = async (name: string, bytes: number) => {
    taken.push(await memory.take(bytes));
    served.push(name);
  };
  await take("first", 6);
  const all = Promise.all([take("large", 20), take("small", 1)]);
  await Promise.resolve();
  assert.deepEqual(served, ["first"], "a small one does not overtake a large one, which would wait for ever");
  memory.give(taken[0]!, true);
  await new Promise((resolve) => setTimeout(resolve, 0));
  assert.deepEqual(served, ["first", "large"]);
  memory.give(taken[1]!, false);
  await all;
  assert.deepEqual(served, ["first", "large", "small"]);
});

Deno.test("createUploadMemory lets go of those who wait and are stopped, and those behind them in", async () => {
  const memory = createUploadMemory(10);
  const first = await memory.take(6);
  const stop = new AbortController();
  const large = memory.take(10, stop.signal);
  const small = memory.take(4);
  stop.abort(new Error("stopped"));
  await assert.rejects(large, /stopped/);
  const second = await small;
  await assert.rejects(memory.take(1, stop.signal), /stopped/);
  memory.give(first, true);
  memory.give(second, true);
  await memory.take(10);
});

Deno.test("createUploadMemory gives memory out again of which it is said so, and holds on to none when nothing is under way", async () => {
  const memory = createUploadMemory(12);
  const [a, b] = [await memory.take(4), await memory.take(4)];
  memory.give(a, true);
  assert.equal(await memory.take(4), a);
  memory.give(a, false);
  assert.equal(a.buffer.byteLength, 0);
  const c = await memory.take(4);
  assert.notEqual(c, a);
  memory.give(c, true);
  // Of another size: what was kept is in the way.
  const d = await memory.take(8);
  assert.equal(c.buffer.byteLength, 0);
  memory.give(d, true);
  memory.give(b, true);
  assert.deepEqual([b, d].map(({ buffer }) => buffer.byteLength), [0, 0]);
});

Deno.test("sendBlocks of 32 streams at once holds no more blocks than there is memory for, and each comes to its end", async () => {
  assert.ok(UPLOAD_BYTES <= 128 * 1024 ** 2, "32 large objects at once are to stay below 512 MiB");
  for (const limit of [4, 12, 48, 1000]) {
    const { meter, memory } = metered(limit);
    const options = { bytes: 4, atOnce: 3, most: 100, memory, signal: undefined };
    const buffers = new Set<ArrayBuffer>();
    const alive = () => [...buffers].reduce((sum, { byteLength }) => sum + byteLength, 0);
    const sums = await Promise.all(Array.from({ length: 32 }, async (_, i) => {
      let sum = 0;
      const block = async ({ bytes }: Block) => {
        buffers.add(bytes.buffer);
        assert.ok(alive() <= limit, `${alive()} of ${limit} bytes are in memory`);
        await new Promise((resolve) => setTimeout(resolve, 0));
        sum += bytes.length;
      };
      await sendBlocks(chunks(i * 2), options, { block, whole: block });
      return sum;
    }));
    assert.deepEqual(sums, Array.from({ length: 32 }, (_, i) => i * 2));
    assert.ok(meter.most <= limit, `${meter.most} of ${limit} bytes`);
    assert.deepEqual([meter.held, alive()], [0, 0]);
  }
});

Deno.test("sendBlocks gives its memory back where it is stopped, refused, or its stream breaks or hangs", async () => {
  const { meter, memory } = metered(8);
  const stop = new AbortController();
  const options = { bytes: 4, atOnce: 3, most: 100, memory, signal: stop.signal };
  const send = { block: () => Promise.resolve(), whole: () => Promise.resolve() };
  const refuse = () => Promise.reject(new Error("refused"));
  await assert.rejects(sendBlocks(chunks(30), options, { ...send, block: refuse }), /refused/);
  await assert.rejects(sendBlocks(chunks(3), options, { ...send, whole: refuse }), /refused/);
  await assert.rejects(sendBlocks(chunks(30), { ...options, most: 2 }, send), { code: "refused" });
  async function* broken() {
    yield* chunks(6);
    throw new Error("broken");
  }
  await assert.rejects(sendBlocks(broken(), options, send), /broken/);
  assert.equal(meter.held, 0);

  const hanging = Promise.withResolvers<void>();
  async function* hangs() {
    yield* chunks(3);
    await hanging.promise;
  }
  const stopped = Promise.allSettled([1, 2, 3].map(() => sendBlocks(hangs(), options, send)));
  while (meter.held < 8) await new Promise((resolve) => setTimeout(resolve, 0));
  stop.abort(new Error("stopped"));
  assert.deepEqual((await stopped).map(({ status }) => status), ["rejected", "rejected", "rejected"]);
  assert.equal(meter.held, 0);
  hanging.resolve();
});

const serve = (answer: Deno.ServeHandler) => Deno.serve({ port: 0, hostname: "127.0.0.1", onListen: () => {} }, answer);

Deno.test("stores of every kind share the memory that they are given: 32 uploads at once, some of them refused", async () => {
  const { meter, memory } = metered(40);
  let parts = 0;
  await using s3 = new FakeS3({
    answer: (_, { searchParams }) =>
      searchParams.has("partNumber") && ++parts % 11 === 0 ? s3Refusal(400, "InvalidPart") : undefined,
  });
  const azure = serve(async (request) => {
    await request.arrayBuffer();
    return new Response(null, { status: 201, headers: { etag: '"e"', "last-modified": new Date(0).toUTCString() } });
  });
  const gcs = serve(async (request) => {
    const { pathname } = new URL(request.url);
    const body = await request.arrayBuffer();
    if (pathname !== "/session") {
      return new Response("", { headers: { location: `http://127.0.0.1:${gcs.addr.port}/session` } });
    }
    assert.ok(body.byteLength <= 10);
    const [, end, total] = /-(\d+)\/(.*)$/.exec(request.headers.get("content-range")!)!;
    return total === "*"
      ? new Response(null, { status: 308, headers: { range: `bytes=0-${end}` } })
      : Response.json({ name: "k", size: total });
  });
  const common = { prefix: "", tls: { ca: undefined, insecure: false }, maxConcurrency: 8, uploads: memory };
  const stores: ObjectStore[] = [
    s3.store({ uploadPartBytes: 10, uploads: memory }),
    createAzureStore({
      ...common,
      endpoint: `http://127.0.0.1:${azure.addr.port}/account`,
      container: "c",
      login: { kind: "key", account: "account", key: btoa("key") },
      blockBytes: 10,
    }),
    createGcsStore({
      ...common,
      endpoint: `http://127.0.0.1:${gcs.addr.port}`,
      bucket: "b",
      login: "anonymous",
      chunkBytes: 10,
    }),
  ];
  const done = await Promise.allSettled(
    Array.from({ length: 33 }, (_, i) => stores[i % 3]!.put(`k${i}`, chunks(95))),
  );
  const written = done.flatMap((each, i) => each.status === "fulfilled" ? [i % 3] : []);
  for (const store of [0, 1, 2]) assert.ok(written.includes(store), `store ${store} wrote nothing`);
  assert.equal(written.filter((store) => store > 0).length, 22);
  assert.ok(done.some(({ status }) => status === "rejected"), "nothing was refused");
  assert.ok(meter.most <= 40, `${meter.most} of 40 bytes`);
  assert.equal(meter.held, 0);
  for (const store of stores) await store.close();
  for (const server of [azure, gcs]) await server.shutdown();
});
