import assert from "node:assert/strict";
import { withRetry } from "../../../stores/objects/retry.ts";
import { FakeS3, s3Refusal } from "./fake_s3.ts";

const bytesOf = (length: number) => Uint8Array.from({ length }, (_, i) => (i * 37) % 251);

async function* chunks(bytes: Uint8Array, size = 3): AsyncIterable<Uint8Array> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
}

/** A store whose server takes no more than 10 bytes at once, in 5 parts at most. */
const LIMITS = { uploadPartBytes: 10, uploadPartsMax: 5, copyObjectMaxBytes: 10n, copyPartBytes: 10n };
const server = (more: ConstructorParameters<typeof FakeS3>[0] = {}) =>
  new FakeS3({ wholeMax: 10, partsMax: 5, equalParts: true, ...more });

Deno.test("createS3Store writes a stream in parts up to the last byte that the server takes of one object", async () => {
  await using s3 = server();
  const store = s3.store(LIMITS);
  for (const length of [0, 1, 10, 11, 20, 49, 50]) {
    const bytes = bytesOf(length);
    const info = await store.put(`k${length}`, chunks(bytes));
    assert.equal(info.size, BigInt(length));
    assert.deepEqual(s3.objects.get(`b/k${length}`), bytes, `${length} bytes`);
  }
  assert.equal(s3.uploads.size, 0);
  await store.close();
});

Deno.test("createS3Store refuses a stream that is larger, in words, reads no more of it, and leaves no part behind", async () => {
  await using s3 = server();
  const store = s3.store(LIMITS);
  let given = 0;
  async function* endless() {
    for (;;) {
      given += 3;
      yield new Uint8Array(3);
    }
  }
  await assert.rejects(store.put("k", endless()), {
    code: "refused",
    message: /larger than 50 B, .*in 5 parts/,
    hint: /./,
  });
  assert.ok(given < 100, `${given} bytes were read`);
  assert.equal(s3.uploads.size, 0);
  assert.equal(s3.objects.size, 0);
  await store.close();
});

Deno.test("createS3Store lets the server copy what is too large for one request in parts, through which no byte comes here", async () => {
  await using s3 = server();
  const store = s3.store(LIMITS);
  for (const length of [0, 10, 11, 40, 50]) {
    s3.objects.set("b/from", bytesOf(length));
    s3.requests.length = 0;
    assert.ok(await store.copyFrom(store, "from", "to"));
    assert.deepEqual(s3.objects.get("b/to"), bytesOf(length), `${length} bytes`);
    const parts = s3.requests.filter((request) => request.includes("partNumber=")).length;
    assert.equal(parts, length <= 10 ? 0 : Math.ceil(length / 10));
    assert.ok(s3.requests.every((request) => !request.startsWith("GET")), s3.requests.join(", "));
  }
  assert.equal(s3.uploads.size, 0);
  await store.close();
});

Deno.test("createS3Store stops a copy in parts at the first part that fails, and leaves none behind", async () => {
  let failed = 0;
  await using s3 = server({
    partsMax: 1000,
    answer: ({ headers }, { searchParams }) => {
      if (!headers.has("x-amz-copy-source") || Number(searchParams.get("partNumber")) < 3) return undefined;
      failed++;
      return s3Refusal(400, "InvalidRequest", "this part cannot be copied");
    },
  });
  const store = s3.store(LIMITS);
  s3.objects.set("b/from", bytesOf(10_000));
  await assert.rejects(store.copyFrom(store, "from", "to"), { code: "refused", message: /this part cannot be copied/ });
  assert.ok(failed <= 4, `${failed} parts were asked for after the first failure`);
  assert.equal(s3.uploads.size, 0);
  assert.equal(s3.objects.has("b/to"), false);
  await store.close();
});

Deno.test("createS3Store says why an upload failed: the server's words, or the source's, not those of what came after", async () => {
  let mode: "part" | "abort" = "part";
  await using s3 = server({
    answer: ({ method }, { searchParams }) => {
      if (method === "DELETE") return s3Refusal(400, "InvalidRequest", "this upload cannot be taken back");
      return mode === "part" && searchParams.get("partNumber") === "2"
        ? s3Refusal(400, "InvalidPart", "this part is not taken")
        : undefined;
    },
  });
  const store = s3.store(LIMITS);
  await assert.rejects(store.put("k", chunks(bytesOf(50))), { code: "refused", message: /this part is not taken/ });
  mode = "abort";
  async function* broken() {
    yield* chunks(bytesOf(30));
    throw Object.assign(new Error("the source is gone"), { code: "ECONNRESET" });
  }
  // As it was thrown: it is no error of this server.
  await assert.rejects(store.put("k", broken()), { code: "ECONNRESET", message: "the source is gone" });
  await store.close();
});

Deno.test("createS3Store does not wait for ever for an answer: the request is sent again", async () => {
  const over = Promise.withResolvers<void>();
  let asked = 0;
  await using s3 = new FakeS3({
    answer: async () => {
      if (++asked === 1) await over.promise;
      return undefined;
    },
  });
  const store = s3.store({ answerMs: 50 });
  await store.put("k", bytesOf(10));
  assert.equal(asked, 2);
  over.resolve();
  await store.close();
});

Deno.test("withRetry over createS3Store lists again where a listing stands still in its middle", async () => {
  let asked = 0;
  await using s3 = new FakeS3({
    answer: (_, { searchParams }) => {
      if (!searchParams.has("list-type") || ++asked > 1) return undefined;
      const begun = new TextEncoder().encode('<?xml version="1.0"?><ListBucketResult><KeyCount>1</KeyCount>');
      return new Response(new ReadableStream({ start: (to) => to.enqueue(begun) }));
    },
  });
  const store = withRetry(s3.store({ answerMs: 50 }), { sleep: () => Promise.resolve() });
  await store.put("k", bytesOf(10));
  assert.deepEqual((await Array.fromAsync(store.list(""))).map(({ key }) => key), ["k"]);
  assert.equal(asked, 2);
  await store.close();
});

Deno.test("createS3Store ends an upload at once when it is stopped, though its source hangs, and leaves no part behind", async () => {
  await using s3 = server();
  const store = s3.store(LIMITS);
  const stop = new AbortController();
  const hanging = Promise.withResolvers<void>();
  async function* source() {
    yield* chunks(bytesOf(40));
    stop.abort();
    await hanging.promise;
  }
  await assert.rejects(store.put("k", source(), {}, stop.signal), { code: "aborted" });
  assert.equal(s3.uploads.size, 0);
  hanging.resolve();
  await store.close();
});
