/** Encryption at rest that each write asks for, at a server that takes no other and nothing of it elsewhere, as S3 does. */
import assert from "node:assert/strict";
import { checkWritable, objectStoreSpec, openObjectStore } from "../../../stores/mod.ts";
import type { S3Encryption } from "../../../stores/objects/s3_options.ts";
import { FakeS3, s3Refusal } from "./fake_s3.ts";

const KEY = "arn:aws:kms:eu-central-1:123456789012:key/k";
const signal = new AbortController().signal;

/** What makes an object must ask for this; what reads one or sends a part of one must not. */
function demanding(mode: string, key: string | undefined) {
  const seen = new Set<string>();
  const s3 = new FakeS3({
    answer: ({ method, headers }, { pathname, searchParams }) => {
      const part = searchParams.has("uploadId");
      const makes = pathname.split("/").length > 2 && !part &&
        (method === "PUT" || method === "POST" && searchParams.has("uploads"));
      const asked = headers.get("x-amz-server-side-encryption") ?? undefined;
      const given = headers.get("x-amz-server-side-encryption-aws-kms-key-id") ?? undefined;
      if (!makes) {
        return asked === undefined && given === undefined ? undefined : s3Refusal(400, "InvalidArgument", method);
      }
      if (asked !== mode || given !== key) return s3Refusal(403, "AccessDenied", "explicit deny in a policy");
      seen.add(headers.has("x-amz-copy-source") ? "copy" : method === "POST" ? "upload" : "put");
      return undefined;
    },
  });
  return { s3, seen };
}

const SMALL = { uploadPartBytes: 10, copyObjectMaxBytes: 10n, copyPartBytes: 10n };

async function* stream(pieces: number) {
  for (let i = 0; i < pieces; i++) yield await Promise.resolve(new Uint8Array(5).fill(i));
}

const MODES: readonly [S3Encryption, mode: string, key: string | undefined][] = [
  [{ mode: "sse-kms", kmsKeyId: KEY }, "aws:kms", KEY],
  [{ mode: "sse-kms" }, "aws:kms", undefined],
  [{ mode: "sse-s3" }, "AES256", undefined],
];

for (const [sse, mode, key] of MODES) {
  Deno.test(`createS3Store asks for ${mode}${key === undefined ? "" : " by a key"} with each write, and in no other request`, async () => {
    const { s3, seen } = demanding(mode, key);
    await using _server = s3;
    const store = s3.store({ sse, ...SMALL });
    await store.put("whole", new Uint8Array(8));
    await store.put("once", new Uint8Array(8), { ifAbsent: true });
    await store.put("short", stream(1));
    assert.deepEqual([...seen], ["put"]);
    await store.put("parts", stream(9), { contentType: "text/plain" });
    assert.deepEqual([...seen], ["put", "upload"]);
    assert.ok(await store.copyFrom(store, "whole", "copy"));
    assert.deepEqual([...seen], ["put", "upload", "copy"]);
    seen.clear();
    assert.ok(await store.copyFrom(store, "parts", "copy in parts", undefined, 45n));
    assert.deepEqual([...seen], ["upload"]);
    assert.deepEqual(s3.objects.get("b/copy in parts"), s3.objects.get("b/parts"));
    assert.equal((await store.get("parts", { start: 1, end: 9 })).length, 8);
    assert.equal((await store.head("whole"))?.size, 8n);
    await store.delete(["whole", "once", "short", "parts", "copy", "copy in parts"]);
    const lines = await checkWritable("vault", store, "", signal);
    // The fake knows no checksums.
    assert.deepEqual(lines.map(({ ok }) => ok), ["ok", "warn"], JSON.stringify(lines));
    assert.equal(s3.objects.size, 0);
    await store.close();
  });
}

Deno.test("openObjectStore hands sse on as the configuration says it", async () => {
  const { s3, seen } = demanding("aws:kms", KEY);
  await using _server = s3;
  const keys = { access_key_id: "id", secret_access_key: "secret" };
  const config = { type: "s3", endpoint: s3.endpoint, bucket: "b", ...keys, sse: { mode: "sse-kms", kms_key_id: KEY } };
  const store = await openObjectStore(objectStoreSpec.parse(config), { retry: false });
  await store.put("k", new Uint8Array(8));
  assert.deepEqual([...seen], ["put"]);
  await store.close();
});

const REFUSALS = {
  denied: [
    403,
    "AccessDenied",
    "User: arn:aws:iam::123456789012:user/u is not authorized to perform: kms:GenerateDataKey on resource: " + KEY +
    " because no identity-based policy allows the kms:GenerateDataKey action",
    "authentication",
  ],
  disabled: [400, "KMS.DisabledException", `${KEY} is disabled.`, "refused"],
  unknown: [400, "KMS.NotFoundException", `Key '${KEY}' does not exist`, "refused"],
  "to be deleted": [400, "KMS.KMSInvalidStateException", `${KEY} is pending deletion.`, "refused"],
} as const;

for (const [name, [status, code, words, expected]] of Object.entries(REFUSALS)) {
  Deno.test(`createS3Store names the KMS key and the rights on it where that is ${name}, of writes as of reads`, async () => {
    await using s3 = new FakeS3({
      answer: (_, { pathname, searchParams }) =>
        pathname.split("/").length > 2 || searchParams.has("delete") ? s3Refusal(status, code, words) : undefined,
    });
    s3.objects.set("b/k", new Uint8Array(8));
    const store = s3.store({ sse: { mode: "sse-kms", kmsKeyId: KEY }, ...SMALL });
    const error = {
      code: expected,
      message: new RegExp(`bucket b, key k\\) cannot use its KMS key: ${code}: `),
      hint: /kms:GenerateDataKey .*kms:Decrypt .*sse\.kms_key_id/,
    };
    await assert.rejects(store.put("k", new Uint8Array(8)), error);
    await assert.rejects(store.put("k", stream(9)), error);
    await assert.rejects(store.get("k"), error);
    const [line] = await checkWritable("vault", store, "", signal);
    assert.deepEqual([line?.ok, line?.code], ["fail", expected]);
    await store.close();
  });
}

Deno.test("createS3Store takes a KMS that is asked too often for a reason to wait, not for a refusal", async () => {
  await using s3 = new FakeS3({ answer: () => s3Refusal(400, "KMS.ThrottlingException", "Rate exceeded") });
  const store = s3.store({ sse: { mode: "sse-kms" } });
  await assert.rejects(store.put("k", new Uint8Array(8)), { code: "throttled", retriable: true });
  await store.close();
});
