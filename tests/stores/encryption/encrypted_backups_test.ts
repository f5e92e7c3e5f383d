import assert from "node:assert/strict";
import type { ObjectStore } from "../../../pipeline/model/mod.ts";
import { checkWritable, createMemoryStore } from "../../../stores/mod.ts";
import { newIdentity, recipientOf } from "../../../stores/encryption/age.ts";
import { encryptionOf, readSums, withEncryption } from "../../../stores/encryption/mod.ts";
import { listBackups, verifyBackup } from "../../../sources/backup/mod.ts";
import { collection, facts, segment, sinkOn, sourceStore } from "../../conformance/archive_sink.ts";

const signal = new AbortController().signal;
const text = (value: string) => new TextEncoder().encode(value);

interface KeyFiles extends AsyncDisposable {
  file(name: string, content: string): Promise<string>;
  identity(name: string): Promise<{ readonly file: string; readonly recipient: string; readonly secret: string }>;
}

async function keyFiles(): Promise<KeyFiles> {
  const folder = await Deno.makeTempDir();
  const file = async (name: string, content: string) => {
    await Deno.writeTextFile(`${folder}/${name}`, content);
    return `${folder}/${name}`;
  };
  return {
    file,
    async identity(name) {
      const secret = await newIdentity();
      return { file: await file(name, `${secret}\n`), recipient: await recipientOf(secret), secret };
    },
    [Symbol.asyncDispose]: () => Deno.remove(folder, { recursive: true }),
  };
}

/** A whole base of one segment. */
async function writeBase(store: ObjectStore, name: string, previous?: string): Promise<void> {
  const item = segment(11n);
  const { object } = await sourceStore([item]);
  const session = await sinkOn(store, { name }).open({ resume: undefined, previous, nowMs: 0 }, signal);
  await session.begin(facts(), signal);
  await session.copySegment(item, object, [], signal);
  await session.finishBase([{ collection: collection(), segmentIds: [11n] }], [], signal);
  await session.close();
}

Deno.test("withEncryption leaves nothing but names in clear, and every object has its sum", async () => {
  await using keys = await keyFiles();
  const memory = createMemoryStore();
  const { file, recipient } = await keys.identity("a");
  await writeBase(await withEncryption(memory, { identity_file: file }), "b");
  const { sums } = await readSums(memory, "b");
  for (const [key, { bytes }] of memory.objects) {
    if (key.startsWith("b/sums/")) continue;
    const begin = new TextDecoder().decode(bytes.subarray(0, 21));
    if (key === "b/encryption.json") {
      assert.match(new TextDecoder().decode(bytes), new RegExp(`${recipient}.*`));
      continue;
    }
    assert.equal(begin, "age-encryption.org/v1", key);
    assert.equal(sums.get(key)?.size, BigInt(bytes.length), key);
  }
});

Deno.test("verifyBackup works without the key on sizes and checksums, and says that contents were not looked into", async () => {
  await using keys = await keyFiles();
  const memory = createMemoryStore();
  const { file } = await keys.identity("a");
  await writeBase(await withEncryption(memory, { identity_file: file }), "b");
  const other = await keys.identity("other");
  for (
    const store of [
      await withEncryption(memory, undefined),
      await withEncryption(memory, { identity_file: other.file }),
    ]
  ) {
    const report = await verifyBackup(store, "b");
    assert.deepEqual([report.ok, report.contentsRead, report.unchecked, report.findings], [true, false, 0, []]);
    assert.equal(report.read.objects, 3 + 6);
    await assert.rejects(verifyBackup(store, "b", { deep: true }), { code: "authentication" });
  }
  const whole = await verifyBackup(await withEncryption(memory, { identity_file: file }), "b");
  assert.deepEqual([whole.ok, whole.contentsRead], [true, true]);

  const [rotten, lost, short] = [...memory.objects.keys()].filter((key) => key.startsWith("b/binlogs/"));
  const change = (key: string, bytes: Uint8Array) => memory.objects.set(key, { bytes, modifiedMs: 0 });
  change(rotten!, memory.objects.get(rotten!)!.bytes.map((byte, i) => i === 100 ? byte ^ 1 : byte));
  change(short!, memory.objects.get(short!)!.bytes.subarray(1));
  memory.objects.delete(lost!);
  const { ok, findings } = await verifyBackup(await withEncryption(memory, undefined), "b");
  assert.equal(ok, false);
  assert.deepEqual(
    findings.map(({ kind, key }) => [kind, key]).sort(),
    [["damaged", rotten], ["damaged", short], ["lost", lost]].sort(),
  );
});

Deno.test("withEncryption says for whom a backup is where the key is missing or another's, and lists it all the same", async () => {
  await using keys = await keyFiles();
  const memory = createMemoryStore();
  const own = await keys.identity("own");
  const offline = await keys.identity("offline");
  const recipients = [own.recipient, offline.recipient];
  await writeBase(await withEncryption(memory, { recipients, identity_file: own.file }), "b");
  const stranger = await keys.identity("stranger");
  for (const encrypt of [undefined, { identity_file: stranger.file }]) {
    const store = await withEncryption(memory, encrypt);
    const locked = {
      code: "authentication",
      message: new RegExp(`${own.recipient}|${offline.recipient}`),
      hint: /identity_file/,
    };
    await assert.rejects(store.get("b/tidemark.json"), locked);
    await assert.rejects(store.put("b/log/x", text("x")), locked);
    const [listed] = await listBackups(store);
    assert.deepEqual([listed?.name, listed?.state], ["b", "unreadable"]);
    assert.match(listed!.problem, /is encrypted for age1/);
  }
  // Either key of the two is enough.
  for (const { file } of [own, offline]) {
    const [listed] = await listBackups(await withEncryption(memory, { identity_file: file }));
    assert.deepEqual([listed?.state, listed?.rows], ["complete", 3n]);
  }
});

Deno.test("withEncryption reads backups in clear beside encrypted ones, and never mixes the two in one", async () => {
  await using keys = await keyFiles();
  const memory = createMemoryStore();
  const { file } = await keys.identity("a");
  await writeBase(await withEncryption(memory, undefined), "before");
  const store = await withEncryption(memory, { identity_file: file });
  await writeBase(store, "after", "before");
  assert.deepEqual((await listBackups(store)).map(({ state }) => state), ["complete", "complete"]);
  for (const name of ["before", "after"]) assert.equal((await verifyBackup(store, name, { deep: false })).ok, true);
  assert.equal(await encryptionOf(store, "before"), undefined);
  await assert.rejects(store.put("before/log/p/1.parquet", text("x")), { code: "refused", message: /begun in clear/ });
  await assert.rejects((await withEncryption(memory, undefined)).put("after/log/p/1.parquet", text("x")), {
    code: "authentication",
  });
  assert.deepEqual([...memory.objects.keys()].filter((key) => key.includes("/log/")), []);
});

Deno.test("withEncryption with a passphrase makes one key, which each backup carries and no other passphrase opens", async () => {
  await using keys = await keyFiles();
  const memory = createMemoryStore();
  const passphrase_file = await keys.file("passphrase", "correct horse battery staple\n");
  const writer = await withEncryption(memory, { passphrase_file });
  await writeBase(writer, "b1");
  await writeBase(writer, "b2", "b1");
  memory.objects.delete("tidemark_identity.age");
  const store = await withEncryption(memory, { passphrase_file });
  const [first, second] = [await encryptionOf(store, "b1"), await encryptionOf(store, "b2")];
  assert.deepEqual(first!.note, second!.note);
  assert.equal((await verifyBackup(store, "b2")).contentsRead, true);
  const wrong = await withEncryption(memory, { passphrase_file: await keys.file("wrong", "another") });
  await assert.rejects(wrong.get("b1/tidemark.json"), {
    code: "authentication",
    message: /does not open the key of backup b1/,
  });
});

Deno.test("withEncryption notes after a kill what was written and not noted", async () => {
  await using keys = await keyFiles();
  const memory = createMemoryStore();
  const encrypt = { identity_file: (await keys.identity("a")).file };
  await (await withEncryption(memory, encrypt)).put("b/binlogs/x", text("x"));
  // The process ends here: a file of a segment waits for others.
  assert.equal((await readSums(memory, "b")).sums.size, 0);
  const next = await withEncryption(memory, encrypt);
  await next.put("b/meta/y", text("y"));
  assert.deepEqual([...(await readSums(memory, "b")).sums.keys()].sort(), ["b/binlogs/x", "b/meta/y"]);
  await next.put("b/meta/y", text("longer than before"));
  await next.delete(["b/binlogs/x"]);
  const { sums } = await readSums(memory, "b");
  assert.deepEqual([...sums].map(([key, { size }]) => [key, size]), [
    ["b/meta/y", BigInt(memory.objects.get("b/meta/y")!.bytes.length)],
  ]);
});

Deno.test("openKeys refuses keys that cannot be used, and shows none", async () => {
  await using keys = await keyFiles();
  const memory = createMemoryStore();
  const { file, secret, recipient } = await keys.identity("a");
  const other = await keys.identity("b");
  const refused = async (encrypt: Parameters<typeof withEncryption>[1], message: RegExp) => {
    await assert.rejects(withEncryption(memory, encrypt), (error: Error & { code?: string }) => {
      assert.equal(error.code, "config");
      assert.match(error.message, message);
      assert.ok(!error.message.includes(secret.slice(20)));
      return true;
    });
  };
  await refused({ identity_file: `${file}.none` }, /Cannot read the file/);
  await refused({ identity_file: await keys.file("empty", "# nothing\n") }, /holds no secret key/);
  await refused({ identity_file: await keys.file("typo", `${secret}x\n`) }, /a line that is no secret key/);
  await refused({ identity_file: file, recipients: [other.recipient] }, /the key of none of encrypt.recipients/);
  await refused({ identity_file: file, recipients: [recipient, `${other.recipient}q`] }, /no public key of age/);
});

Deno.test("withEncryption passes the check of a storage, and copies within the server what has the same key", async () => {
  await using keys = await keyFiles();
  const memory = createMemoryStore();
  const store = await withEncryption(memory, { identity_file: (await keys.identity("a")).file });
  assert.deepEqual((await checkWritable("vault", store, "", signal)).map(({ ok }) => ok), ["ok"]);
  assert.deepEqual([...memory.objects.keys()], []);
  await store.put("b1/log/p/1.parquet", text("a file of the log"));
  assert.notEqual(await store.copyFrom(store, "b1/log/p/1.parquet", "b2/log/p/1.parquet"), undefined);
  assert.deepEqual(await store.get("b2/log/p/1.parquet"), text("a file of the log"));
  const { sums } = await readSums(memory, "b2");
  assert.deepEqual(sums.get("b2/log/p/1.parquet"), (await readSums(memory, "b1")).sums.get("b1/log/p/1.parquet"));
  const plain = createMemoryStore({ name: "source" });
  await plain.put("files/x", text("x"));
  assert.equal(await store.copyFrom(plain, "files/x", "b2/binlogs/x"), undefined);
  assert.equal(await createMemoryStore().copyFrom(store, "b2/log/p/1.parquet", "x"), undefined);
});
