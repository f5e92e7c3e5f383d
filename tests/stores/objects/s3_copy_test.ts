/** Servers that copy nothing by themselves, or not this: the caller reads and writes then, and check says so. */
import assert from "node:assert/strict";
import { checkCopy, checkWritable } from "../../../stores/mod.ts";
import { FakeS3, s3Refusal } from "./fake_s3.ts";

const SMALL = { uploadPartBytes: 10, copyObjectMaxBytes: 10n, copyPartBytes: 10n };
const signal = new AbortController().signal;

const isCopy = ({ headers }: Request) => headers.has("x-amz-copy-source");

/** What servers do with a copy that they do not know; undefined: they take it for a write without a body. */
const MANNERS: Readonly<Record<string, () => Response | undefined>> = {
  "are not implemented": () => s3Refusal(501, "NotImplemented", "A header you provided implies functionality"),
  "are no method of it": () => s3Refusal(405, "MethodNotAllowed"),
  "are refused to the user": () => s3Refusal(403, "AccessDenied"),
  "are ended without a word": () => new Response(null, { status: 200 }),
};

for (const [name, answer] of Object.entries(MANNERS)) {
  Deno.test(`createS3Store leaves copies that ${name} to the caller, whole ones and those in parts, and leaves nothing behind`, async () => {
    const made: string[] = [];
    await using s3 = new FakeS3({
      answer: (request, { pathname }) => {
        if (!isCopy(request)) return undefined;
        made.push(pathname);
        return answer();
      },
    });
    const store = s3.store(SMALL);
    for (const [key, size] of [["small", 8], ["large", 45]] as const) {
      s3.objects.set(`b/${key}`, new Uint8Array(size).fill(7));
      assert.equal(await store.copyFrom(store, key, "copy"), undefined, key);
      assert.equal(s3.uploads.size, 0);
    }
    assert.ok(made.length >= 2);
    const lines = await checkWritable("vault", store, "", signal);
    assert.match(
      lines.find(({ ok }) => ok === "warn")!.detail,
      /^no copying by the server: bytes go through this machine/,
    );
    const from = s3.store({ bucket: "source" });
    s3.objects.set("source/k", new Uint8Array(8));
    const line = await checkCopy("sinks.vault copying", from, "k", store, signal);
    assert.deepEqual([line.ok, line.detail], [
      "ok",
      `files of ${from.location} are read and written by this machine: the server cannot copy them here`,
    ]);
    assert.deepEqual([...s3.objects.keys()], ["b/small", "b/large", "source/k"]);
    for (const each of [store, from]) await each.close();
  });
}

Deno.test("createS3Store leaves a copy to the caller where only that from the other bucket is refused", async () => {
  await using s3 = new FakeS3({
    answer: (request) =>
      request.headers.get("x-amz-copy-source")?.startsWith("source/") ? s3Refusal(403, "AccessDenied") : undefined,
  });
  const [store, from] = [s3.store(), s3.store({ bucket: "source" })];
  s3.objects.set("source/k", new Uint8Array(8));
  s3.objects.set("b/k", new Uint8Array(8));
  assert.equal(await store.copyFrom(from, "k", "copy"), undefined);
  assert.ok(await store.copyFrom(store, "k", "copy"));
  await assert.rejects(store.copyFrom(store, "none", "copy"), { code: "not_found", message: /none/ });
  for (const each of [store, from]) await each.close();
});

Deno.test("createS3Store takes the empty object of a server that does not look at the source for no copy", async () => {
  await using s3 = new FakeS3({
    answer: (request, { pathname }) => {
      if (!isCopy(request)) return undefined;
      s3.objects.set(decodeURIComponent(pathname.slice(1)), new Uint8Array());
      return new Response(null, { headers: { etag: '"d41d8cd98f00b204e9800998ecf8427e"' } });
    },
  });
  const store = s3.store(SMALL);
  s3.objects.set("b/small", new Uint8Array(8));
  s3.objects.set("b/large", new Uint8Array(45));
  for (const key of ["small", "large"]) assert.equal(await store.copyFrom(store, key, "copy"), undefined, key);
  assert.equal(s3.uploads.size, 0);
  await store.close();
});
