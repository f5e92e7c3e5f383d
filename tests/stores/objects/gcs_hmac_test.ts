/** HMAC keys of Google by the S3 interface, at a server that checks each signature and knows no more of S3 than Google says of its own. */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { Agent } from "node:http";
import type { ObjectStore } from "../../../pipeline/model/mod.ts";
import { checkWritable, objectStoreSpec, openObjectStore } from "../../../stores/mod.ts";
import { FakeS3, s3Refusal } from "./fake_s3.ts";
import { signatureProblem } from "./signed_s3.ts";

const HMAC = { keyId: "GOOG1EXAMPLE", secret: "hmac/secret+of=forty" };

/** No deletion in batches, no copy in parts, no checksums of S3's kind, and nothing without a right signature of the region `auto`. */
function interoperable() {
  const problems: string[] = [];
  const kinds = new Set<string>();
  const s3 = new FakeS3({
    answer(request, { searchParams }, body) {
      const problem = signatureProblem(request, body, { ...HMAC, region: "auto" });
      if (problem !== undefined) {
        problems.push(`${request.method} ${request.url}: ${problem}`);
        return s3Refusal(403, "SignatureDoesNotMatch", "Access denied.");
      }
      const { headers } = request;
      if ([...headers].some(([name, value]) => /^x-amz-(trailer|decoded)/.test(name) || /aws-chunked/.test(value))) {
        return s3Refusal(400, "InvalidArgument", "Invalid argument.");
      }
      const part = searchParams.has("partNumber");
      const unknown = searchParams.has("delete") || part && headers.has("x-amz-copy-source") ||
        [...headers.keys()].some((name) => /^x-amz-(sdk-)?checksum/.test(name));
      if (unknown) return s3Refusal(501, "NotImplemented", "A header or query you provided is not implemented.");
      kinds.add(`${request.method}${part ? " part" : headers.has("x-amz-copy-source") ? " copy" : ""}`);
      return undefined;
    },
  });
  return { s3, problems, kinds };
}

const config = (endpoint: string) => ({
  ...{ type: "s3", endpoint, region: "auto", bucket: "b", prefix: "a prefix" },
  ...{ access_key_id: HMAC.keyId, secret_access_key: HMAC.secret },
});
const open = async (endpoint: string, more: object = {}): Promise<ObjectStore> =>
  await openObjectStore(objectStoreSpec.parse({ ...config(endpoint), ...more }), { retry: false });

/** Characters that are written in one way in a URL and in another where a signature is made. */
const NAMES = ["plain", "with space/and+plus", "ä€😀", "a=b&c;d,e", "(1)!'*~", "50%25", "x:y@z$"];

Deno.test("openObjectStore signs each request for Google's S3 interface so that another implementation finds the same signature", async () => {
  const { s3, problems, kinds } = interoperable();
  await using _server = s3;
  const store = await open(s3.endpoint);
  for (const name of NAMES) {
    const bytes = new TextEncoder().encode(name);
    await store.put(name, bytes, { contentType: "application/json" });
    assert.deepEqual(await store.get(name, { start: 0, end: bytes.length }), bytes, name);
    assert.equal((await store.head(name))?.size, BigInt(bytes.length), name);
    assert.ok(await store.copyFrom(store, name, `${name} copy`), name);
  }
  await store.put(
    "large",
    (async function* () {
      for (let i = 0; i < 17; i++) yield await Promise.resolve(new Uint8Array(1024 ** 2).fill(i));
    })(),
  );
  assert.equal((await Array.fromAsync(store.list(""))).length, 2 * NAMES.length + 1);
  await store.delete(NAMES.flatMap((name) => [name, `${name} copy`]));
  assert.deepEqual([...s3.objects.keys()], ["b/a prefix/large"]);
  assert.deepEqual(problems, []);
  assert.deepEqual([...kinds].sort(), ["DELETE", "GET", "HEAD", "POST", "PUT", "PUT copy", "PUT part"]);
  await store.close();
});

Deno.test("createS3Store signs the sum of a body that its caller has made, and a body of another sum is refused", async () => {
  const { s3, problems } = interoperable();
  await using _server = s3;
  const store = await open(s3.endpoint);
  const bytes = new TextEncoder().encode("rows");
  const sha256 = createHash("sha256").update(bytes).digest("hex");
  await store.put("k", bytes, { sha256 });
  assert.deepEqual(await store.get("k"), bytes);
  await assert.rejects(store.put("k", new TextEncoder().encode("rots"), { sha256 }), { code: "authentication" });
  assert.match(problems.join(), /: another body than was signed$/);
  await store.close();
});

Deno.test("createS3Store leaves what Google's S3 interface does not copy, in parts, to the caller, and check says what else it lacks", async () => {
  const { s3, problems } = interoperable();
  await using _server = s3;
  const credentials = { accessKeyId: HMAC.keyId, secretAccessKey: HMAC.secret };
  const store = s3.store({ region: "auto", credentials, copyObjectMaxBytes: 10n, copyPartBytes: 10n });
  await store.put("k", new Uint8Array(25));
  assert.equal(await store.copyFrom(store, "k", "copy"), undefined);
  assert.equal(s3.uploads.size, 0);
  const lines = await checkWritable("vault", store, "", new AbortController().signal);
  assert.deepEqual(lines.map(({ ok }) => ok), ["ok", "warn", "warn"], JSON.stringify(lines));
  assert.match(lines[1]!.detail, /^checksums .* are not compared: none are sent/);
  assert.match(lines[2]!.detail, /^deletion in batches is refused: objects are deleted one by one/);
  assert.deepEqual(problems, []);
  await store.close();
});

Deno.test("openObjectStore signs the bucket's own host where it stands there", async () => {
  const { s3, problems } = interoperable();
  await using _server = s3;
  const httpAgent = new Agent({
    lookup: (_host, options, done) =>
      options.all === true ? done(null, [{ address: "127.0.0.1", family: 4 }]) : done(null, "127.0.0.1", 4),
  });
  const store = s3.store({
    ...{ region: "auto", credentials: { accessKeyId: HMAC.keyId, secretAccessKey: HMAC.secret }, pathStyle: false },
    endpoint: `http://storage.example:${s3.port}`,
    agents: { httpAgent, httpsAgent: httpAgent },
  });
  for (const name of NAMES) await store.put(name, new Uint8Array([1]));
  assert.deepEqual(problems, []);
  assert.equal(s3.objects.size, NAMES.length);
  await store.close();
  httpAgent.destroy();
});

Deno.test("openObjectStore says that a wrong secret, another key or region is refused", async () => {
  const { s3, problems } = interoperable();
  await using _server = s3;
  for (
    const [more, expected] of [
      [{ secret_access_key: "another" }, /another signature/],
      [{ access_key_id: "GOOG1OTHER" }, /GOOG1OTHER is unknown/],
      [{ region: "us-east-1" }, /scope us-east-1/],
    ] as const
  ) {
    problems.length = 0;
    const store = await open(s3.endpoint, more);
    await assert.rejects(store.get("k"), { code: "authentication", message: /SignatureDoesNotMatch/ });
    assert.match(problems[0]!, expected);
    await store.close();
  }
});
