import assert from "node:assert/strict";
import { copyObject } from "../../../sinks/backup/copy.ts";
import { checksumOf, withRetry } from "../../../stores/mod.ts";
import { FakeS3, type FakeS3Options, s3Refusal } from "../../stores/objects/fake_s3.ts";

/** An S3 server whose keys end when they are told to, and who gives others to those who ask. */
class Expiring {
  given = 1;
  refused = 0;
  readonly s3: FakeS3;

  constructor(answer: NonNullable<FakeS3Options["answer"]>) {
    this.s3 = new FakeS3({
      answer: (request, url, body) => {
        const instead = answer(request, url, body);
        if (request.headers.get("authorization")!.includes(`Credential=KEY${this.given}/`)) return instead;
        this.refused++;
        return s3Refusal(400, "ExpiredToken", "The provided token has expired.");
      },
    });
  }

  store(partBytes: number) {
    const keys = () =>
      Promise.resolve({ accessKeyId: `KEY${this.given}`, secretAccessKey: "secret", sessionToken: "token" });
    // By no means of the store's own: half an hour is no time at which a client asks again.
    const provider = {
      name: "role",
      keys: async () => ({ ...await keys(), expiration: new Date(Date.now() + 1.8e6) }),
    };
    const store = this.s3.store({ credentials: undefined, provider, uploadPartBytes: partBytes });
    return withRetry(store, { sleep: () => Promise.resolve() });
  }
}

Deno.test("copyObject brings a large object over whole, though the keys of both stores end in its middle", async () => {
  // As many parts as 1 GB has, of 16 MiB each.
  const partBytes = 160 * 1024;
  const bytes = new Uint8Array(64 * partBytes).map((_, i) => (i * 2_654_435_761) >>> 13);
  let broken = 0;
  const from = new Expiring(({ method, headers }, { pathname }) => {
    if (pathname !== "/b/binlog" || method !== "GET" || headers.has("range") || broken > 0) return undefined;
    return new Response(
      new ReadableStream({
        start(controller) {
          controller.enqueue(bytes.slice(0, bytes.length / 2));
        },
        pull(controller) {
          broken++;
          from.given++;
          controller.error(new Error("cut"));
        },
      }),
      { headers: { etag: '"e"' } },
    );
  });
  const ends = new Set(["20", "50"]);
  const to = new Expiring((_, { searchParams }) => {
    if (ends.delete(searchParams.get("partNumber") ?? "")) to.given++;
    return undefined;
  });
  from.s3.objects.set("b/binlog", bytes);
  const [source, store] = [from.store(partBytes), to.store(partBytes)];
  const info = { key: "binlog", size: BigInt(bytes.length), etag: "", modifiedMs: 0 };
  const target = { store, name: "nightly", previous: undefined, bandwidth: undefined, serverSide: undefined };
  const { object } = await copyObject(
    { source, sourceKey: "binlog", path: "binlogs/1", info },
    target,
    new AbortController().signal,
  );
  assert.deepEqual(object, { path: "binlogs/1", size: info.size, sum: checksumOf(bytes) });
  assert.equal(checksumOf(to.s3.objects.get("b/nightly/binlogs/1")!), checksumOf(bytes));
  assert.deepEqual([broken, ends.size, to.s3.uploads.size], [1, 0, 0]);
  assert.ok(from.refused > 0, "the source refused nothing");
  assert.ok(to.refused > 1, "the target refused nothing");
  for (const each of [source, store]) await each.close();
  for (const each of [from, to]) await each.s3[Symbol.asyncDispose]();
});
