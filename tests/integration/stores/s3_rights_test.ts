/** Each command with a user who has just the rights that docs/stores.md names for it. */
import assert from "node:assert/strict";
import type { ObjectStore } from "../../../pipeline/model/mod.ts";
import { createBinlogSource } from "../../../sources/binlog/mod.ts";
import { listBackups, openBackupSource, verifyBackup } from "../../../sources/backup/mod.ts";
import { checkReadable, checkWritable, createFileStore, withRetry } from "../../../stores/mod.ts";
import { createS3Store } from "../../../stores/objects/s3.ts";
import { testArchiveSink } from "../../conformance/archive_sink.ts";
import { startFaultProxy } from "../../stack/fault_proxy.ts";
import { type S3User, startVersitygw } from "../../stack/versitygw.ts";

const server = await startVersitygw();
Deno.test.afterAll(async () => await server[Symbol.asyncDispose]());
const signal = new AbortController().signal;
const SAMPLES = new URL("../../samples", import.meta.url).pathname;
const SAMPLE = "milvus-backup-0.5.16";

function open(bucket: string, credentials: S3User, prefix = "", endpoint = server.endpoint): ObjectStore {
  return withRetry(createS3Store({
    endpoint,
    bucket,
    prefix,
    region: "us-east-1",
    credentials,
    pathStyle: true,
    sse: { mode: "none" },
    tls: { ca: undefined, insecure: false },
    maxConcurrency: 16,
  }));
}

type Rights = "source" | "backup sink" | "restore";

const ACTIONS: Readonly<Record<Rights, readonly string[]>> = {
  source: ["s3:GetObject"],
  "backup sink": ["s3:GetObject", "s3:PutObject", "s3:DeleteObject", "s3:AbortMultipartUpload"],
  restore: ["s3:GetObject"],
};

let made = 0;
/** A bucket with a user who may do what these rights say below a prefix, and nothing else: not list the top of the bucket. */
async function allowed(rights: Rights, prefix: string): Promise<{ bucket: string; user: S3User }> {
  const bucket = `rights-${crypto.randomUUID().slice(0, 8)}`;
  await server.createBucket(bucket);
  const user = await server.createUser(`user${made++}`);
  const Principal = { AWS: [user.accessKeyId] };
  await server.setPolicy(bucket, [
    { Effect: "Allow", Principal, Action: ACTIONS[rights], Resource: [`arn:aws:s3:::${bucket}/${prefix}/*`] },
    {
      Effect: "Allow",
      Principal,
      Action: ["s3:ListBucket"],
      Resource: [`arn:aws:s3:::${bucket}`],
      Condition: { StringLike: { "s3:prefix": [`${prefix}/*`] } },
    },
  ]);
  return { bucket, user };
}

Deno.test("A source is read with GetObject below its root and ListBucket with that prefix, and with nothing else", async () => {
  const { bucket, user } = await allowed("source", "files");
  const [root, reader] = [open(bucket, server.root), open(bucket, user)];
  const key = "files/insert_log/1/2/3/100/7";
  await root.put(key, new Uint8Array([1, 2, 3]));
  await root.put("other/secret", new Uint8Array([4, 5, 6]));

  assert.deepEqual(await reader.get(key, { start: 1, end: 3 }), new Uint8Array([2, 3]));
  assert.deepEqual((await Array.fromAsync(reader.list("files/insert_log/"))).map((info) => info.key), [key]);
  // Files that compaction removed are looked for: they are missing, not forbidden.
  assert.equal(await reader.head("files/insert_log/1/2/3/100/8"), undefined);
  await assert.rejects(reader.get("files/insert_log/1/2/3/100/8"), { code: "not_found" });
  const [line] = await checkReadable("source", reader, key, signal);
  assert.deepEqual([line?.ok, line?.detail], ["ok", "read only: ListObjectsV2, ranged reads, clocks agree"]);

  const refused = { code: "authentication" };
  await assert.rejects(reader.get("other/secret"), refused);
  await assert.rejects(Array.fromAsync(reader.list("")), refused);
  await assert.rejects(reader.put("files/x", new Uint8Array([1])), refused);
  await assert.rejects(reader.delete([key]), refused);
  assert.equal((await root.head(key))?.size, 3n);

  const binlogs = createBinlogSource({ store: reader, root: "files" });
  assert.deepEqual((await binlogs.check(signal)).map(({ ok, detail }) => [ok, detail]), [["ok", "Holds insert_log"]]);
  await binlogs.close();
  await root.close();
});

Deno.test("createS3Store does not take an object for missing where the server does not know the user, or the secret is wrong", async () => {
  const { bucket } = await allowed("source", "files");
  const users = [
    { accessKeyId: "nobody", secretAccessKey: "no-secret" },
    { ...server.root, secretAccessKey: "another-secret" },
  ];
  for (const user of users) {
    const store = open(bucket, user);
    await assert.rejects(store.head("files/a"), { code: "authentication" });
    await assert.rejects(store.get("files/a"), { code: "authentication" });
    await store.close();
  }
});

Deno.test("A source on AWS, which says 403 for what is missing to those who may list a prefix only, tells missing from forbidden", async () => {
  const { bucket, user } = await allowed("source", "files");
  const root = open(bucket, server.root);
  for (const key of ["files/a", "files/a2", "other/secret"]) await root.put(key, new Uint8Array([1]));
  await using proxy = startFaultProxy(server.endpoint);
  const [there, missing] = ["files/a", "files/b"];
  const denied = "<Error><Code>AccessDenied</Code><Message>Access Denied</Message></Error>";
  proxy.injure((request) => {
    const { pathname } = new URL(request.url);
    return pathname.endsWith(`/${missing}`) ? { kind: "answer", status: 403, body: denied } : undefined;
  });
  const reader = open(bucket, user, "", proxy.origin);
  assert.equal(await reader.head(missing), undefined);
  await assert.rejects(reader.get(missing), { code: "not_found" });
  await assert.rejects(Array.fromAsync(reader.stream(missing)), { code: "not_found" });
  assert.equal((await reader.head(there))?.size, 1n);
  await assert.rejects(reader.head("other/secret"), { code: "authentication" });
  // Not shown, and yet there: that is a right that is missing.
  proxy.injure((request) =>
    new URL(request.url).pathname.endsWith(`/${there}`) ? { kind: "answer", status: 403, body: denied } : undefined
  );
  await assert.rejects(reader.head(there), { code: "authentication" });
  await assert.rejects(reader.get(there), { code: "authentication" });
  await reader.close();
  await root.close();
});

Deno.test("A restore, list and verify read a backup with GetObject and ListBucket below its prefix", async () => {
  const { bucket, user } = await allowed("restore", "vault");
  const sample = createFileStore(SAMPLES);
  const [root, reader] = [open(bucket, server.root, "vault"), open(bucket, user, "vault")];
  for await (const { key } of sample.list(`${SAMPLE}/`)) await root.put(key, await sample.get(key));
  assert.deepEqual((await listBackups(reader, signal)).map(({ name }) => name), [SAMPLE]);
  const report = await verifyBackup(reader, SAMPLE, { sample: 1, deep: true }, signal);
  assert.deepEqual([report.ok, report.lost], [true, 0]);
  const writable = await checkWritable("vault", reader, "", signal);
  assert.deepEqual(writable.map(({ ok, code }) => [ok, code]), [["fail", "authentication"]]);
  const source = await openBackupSource(reader, SAMPLE, { signal });
  assert.ok(source.snapshot.segments.length > 0);
  await source.close();
  await root.close();
});

Deno.test("check finds that a backup sink may do what it must below its prefix", async () => {
  const { bucket, user } = await allowed("backup sink", "vault");
  const store = open(bucket, user, "vault");
  const lines = await checkWritable("vault", store, "", signal);
  assert.deepEqual(lines.map(({ ok, detail }) => [ok, detail]), [[
    "ok",
    "can be written, read and deleted from: what exists is not replaced, copies by the server, ListObjectsV2, ranged reads, conditional writes, checksums, multipart uploads, deletion in batches, clocks agree",
  ]]);
  assert.deepEqual(await Array.fromAsync(store.list("")), []);
  await store.close();
});

testArchiveSink("backup sink with a sink's rights below its prefix", {
  async store() {
    const { bucket, user } = await allowed("backup sink", "vault");
    return { open: () => Promise.resolve(open(bucket, user, "vault")), async [Symbol.asyncDispose]() {} };
  },
});
