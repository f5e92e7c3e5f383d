import assert from "node:assert/strict";
import { collect } from "../../../stores/objects/body.ts";
import { withRetry } from "../../../stores/objects/retry.ts";
import { FakeS3 } from "./fake_s3.ts";

const BYTES = new TextEncoder().encode("rows ".repeat(50_000));

async function zipped(): Promise<Uint8Array<ArrayBuffer>> {
  return await new Response(new Response(BYTES).body!.pipeThrough(new CompressionStream("gzip"))).bytes();
}

Deno.test("createS3Store reads an object as it is kept, also one that says of itself to be compressed", async () => {
  const packed = await zipped();
  await using server = new FakeS3({
    answer: ({ method }) =>
      method === "GET"
        ? new Response(packed, { headers: { "content-encoding": "gzip", "content-length": `${packed.length}` } })
        : undefined,
  });
  const store = server.store();
  assert.deepEqual(await store.get("k"), packed);
  assert.deepEqual(await collect(store.stream("k")), packed);
  await store.close();
});

Deno.test("createS3Store reads objects by keys that a URL would write in another way", async () => {
  await using server = new FakeS3();
  const store = server.store({ prefix: "a b/ü" });
  for (const key of ["%2e%2e/x", "a'b(c)*!", "q?x=1#y", "ä/ö+ü&=;:@$,", "..x/~y"]) {
    await store.put(key, new TextEncoder().encode(key));
    assert.equal(new TextDecoder().decode(await store.get(key)), key);
    assert.equal(new TextDecoder().decode(await collect(store.stream(key))), key);
    await assert.rejects(store.get(`${key}.none`), { code: "not_found" });
  }
  await store.close();
});

Deno.test("createS3Store ends a read that is stopped before its answer and within it", async () => {
  for (const answers of [false, true]) {
    const asked = Promise.withResolvers<void>();
    await using server = new FakeS3({
      answer: ({ method, signal }) => {
        if (method !== "GET") return undefined;
        asked.resolve();
        const body = new ReadableStream<Uint8Array>({ start: (to) => to.enqueue(BYTES) });
        if (answers) return new Response(body);
        return new Promise((resolve) => signal.addEventListener("abort", () => resolve(new Response(null))));
      },
    });
    const store = server.store();
    const stop = new AbortController();
    const reading = collect(store.stream("k", stop.signal));
    await asked.promise;
    stop.abort();
    await assert.rejects(reading, { code: "aborted" });
    await store.close();
  }
});

Deno.test("withRetry over createS3Store goes on with what stands still in its middle: each byte comes once", async () => {
  let still = 0;
  await using server = new FakeS3({
    answer: ({ method, headers }) => {
      if (method !== "GET" || headers.has("range") && still > 1) return undefined;
      still++;
      const [, from = "0", to = String(BYTES.length - 1)] = /^bytes=(\d+)-(\d+)$/.exec(headers.get("range") ?? "") ??
        [];
      const body = new ReadableStream<Uint8Array>({
        start: (controller) => controller.enqueue(BYTES.subarray(Number(from), Number(from) + 100_000)),
      });
      const length = { "content-length": String(Number(to) + 1 - Number(from)) };
      const place = { "content-range": `bytes ${from}-${to}/${BYTES.length}` };
      return new Response(body, {
        status: from === "0" ? 200 : 206,
        headers: from === "0" ? length : { ...length, ...place },
      });
    },
  });
  const store = withRetry(server.store({ stillMs: 50 }), { sleep: () => Promise.resolve() });
  await store.put("k", BYTES);
  assert.deepEqual(await collect(store.stream("k")), BYTES);
  assert.equal(still, 2, "the stream, and the first request for the rest of it");
  await store.close();
});
