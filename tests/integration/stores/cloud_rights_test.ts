/**
 * Each command with just the rights that docs/stores.md names for it on Azure and Google: signatures that Azurite looks at, and
 * permissions that a proxy before fake-gcs-server keeps to.
 */
import assert from "node:assert/strict";
import {
  BlobServiceClient,
  ContainerSASPermissions,
  generateBlobSASQueryParameters,
  StorageSharedKeyCredential,
} from "@azure/storage-blob";
import type { ObjectStore } from "../../../pipeline/model/mod.ts";
import { createBinlogSource } from "../../../sources/binlog/mod.ts";
import { listBackups, openBackupSource, verifyBackup } from "../../../sources/backup/mod.ts";
import {
  checkReadable,
  checkWritable,
  createFileStore,
  objectStoreSpec,
  openObjectStore,
} from "../../../stores/mod.ts";
import { testArchiveSink } from "../../conformance/archive_sink.ts";
import { AZURITE_ACCOUNT, AZURITE_KEY, startAzurite } from "../../stack/azurite.ts";
import { startFakeGcs } from "../../stack/fake_gcs.ts";
import { startFaultProxy } from "../../stack/fault_proxy.ts";
import { type GcsPermission, keepPermissions } from "../../stack/gcs_permissions.ts";

const [azurite, google] = [await startAzurite(), await startFakeGcs()];
Deno.test.afterAll(async () => {
  for (const each of [azurite, google]) await each[Symbol.asyncDispose]();
});
const signal = new AbortController().signal;
const SAMPLES = new URL("../../samples", import.meta.url).pathname;
const SAMPLE = "milvus-backup-0.5.16";

/** One who may do everything, and one who may do what a reader or a writer may below a prefix of the same place. */
interface Place extends AsyncDisposable {
  readonly owner: ObjectStore;
  readonly user: ObjectStore;
}

interface Kind {
  place(rights: string, prefix: string, ownersPrefix?: string): Promise<Place>;
  readonly reads: string;
  readonly writes: string;
  /** `writes` without one of its rights, each. */
  readonly less: readonly string[];
  /** A reader is kept to its prefix. */
  readonly belowOnly: boolean;
}

const open = (config: object): Promise<ObjectStore> => openObjectStore(objectStoreSpec.parse(config));

async function placeOf(owner: object, user: object, end: () => Promise<void>): Promise<Place> {
  const stores = [await open(owner), await open(user)] as const;
  return {
    owner: stores[0],
    user: stores[1],
    async [Symbol.asyncDispose]() {
      // What it was given to may have closed it.
      for (const store of stores) await store.close().catch(() => {});
      await end();
    },
  };
}

const GCS: Readonly<Record<string, GcsPermission>> = {
  g: "storage.objects.get",
  l: "storage.objects.list",
  c: "storage.objects.create",
  d: "storage.objects.delete",
};

const KINDS: Readonly<Record<string, Kind>> = {
  azure: {
    async place(rights, prefix, ownersPrefix = "") {
      const container = `rights-${crypto.randomUUID().slice(0, 8)}`;
      const key = new StorageSharedKeyCredential(AZURITE_ACCOUNT, AZURITE_KEY);
      await new BlobServiceClient(azurite.endpoint, key).createContainer(container);
      const permissions = ContainerSASPermissions.parse(rights);
      const expiresOn = new Date(Date.now() + 3_600_000);
      const sas_token = generateBlobSASQueryParameters({ containerName: container, permissions, expiresOn }, key)
        .toString();
      const common = { type: "azure", endpoint: azurite.endpoint, container };
      const login = { account: AZURITE_ACCOUNT, account_key: AZURITE_KEY };
      return await placeOf(
        { ...common, ...login, prefix: ownersPrefix },
        { ...common, sas_token, prefix },
        async () => {},
      );
    },
    reads: "rl",
    writes: "rwdl",
    less: ["wdl", "rdl", "rwl"],
    belowOnly: false,
  },
  gcs: {
    async place(rights, prefix, ownersPrefix = "") {
      const bucket = `rights-${crypto.randomUUID().slice(0, 8)}`;
      await google.createBucket(bucket);
      const proxy = startFaultProxy(google.endpoint);
      // Only the user's requests pass here.
      proxy.injure(keepPermissions([...rights].map((letter) => GCS[letter]!), prefix === "" ? "files/" : `${prefix}/`));
      const common = { type: "gcs", bucket, anonymous: true };
      return await placeOf(
        { ...common, endpoint: google.endpoint, prefix: ownersPrefix },
        { ...common, endpoint: proxy.origin, prefix },
        () => Promise.resolve(proxy[Symbol.asyncDispose]()),
      );
    },
    reads: "gl",
    writes: "glcd",
    less: ["lcd", "gld", "glc"],
    belowOnly: true,
  },
};

const refused = { code: "authentication" };

for (const [name, kind] of Object.entries(KINDS)) {
  Deno.test(`A source in ${name} is read with the rights of a reader, and with nothing else`, async () => {
    await using place = await kind.place(kind.reads, "");
    const { owner, user } = place;
    const key = "files/insert_log/1/2/3/100/7";
    await owner.put(key, new Uint8Array([1, 2, 3]));
    await owner.put("other/secret", new Uint8Array([4]));
    assert.deepEqual(await user.get(key, { start: 1, end: 3 }), new Uint8Array([2, 3]));
    assert.deepEqual((await Array.fromAsync(user.list("files/insert_log/"))).map((info) => info.key), [key]);
    // Files that compaction removed are looked for: they are missing, not forbidden.
    assert.equal(await user.head("files/insert_log/1/2/3/100/8"), undefined);
    await assert.rejects(user.get("files/insert_log/1/2/3/100/8"), { code: "not_found" });
    assert.deepEqual((await checkReadable("source", user, key, signal)).map(({ ok }) => ok), ["ok"]);
    await assert.rejects(user.put("files/x", new Uint8Array([1])), refused);
    await assert.rejects(user.delete([key]), refused);
    if (kind.belowOnly) await assert.rejects(user.get("other/secret"), refused);
    assert.equal((await owner.head(key))?.size, 3n);
    const binlogs = createBinlogSource({ store: user, root: "files" });
    assert.deepEqual((await binlogs.check(signal)).map(({ ok, detail }) => [ok, detail]), [["ok", "Holds insert_log"]]);
    await binlogs.close();
  });

  Deno.test(`A restore, list and verify read a backup in ${name} with the rights of a reader`, async () => {
    await using place = await kind.place(kind.reads, "vault", "vault");
    const { owner, user } = place;
    const sample = createFileStore(SAMPLES);
    for await (const { key } of sample.list(`${SAMPLE}/`)) await owner.put(key, await sample.get(key));
    assert.deepEqual((await listBackups(user, signal)).map(({ name }) => name), [SAMPLE]);
    const report = await verifyBackup(user, SAMPLE, { sample: 1, deep: true }, signal);
    assert.deepEqual([report.ok, report.lost], [true, 0]);
    const source = await openBackupSource(user, SAMPLE, { signal });
    assert.ok(source.snapshot.segments.length > 0);
    const writable = await checkWritable("vault", user, "", signal);
    assert.deepEqual(writable.map(({ ok, code }) => [ok, code]), [["fail", "authentication"]]);
    assert.match(writable[0]!.detail, /refused the login/);
  });

  Deno.test(`check finds that a backup sink in ${name} may do what it must, and fails where any of its rights is missing`, async () => {
    await using place = await kind.place(kind.writes, "vault", "vault");
    const lines = await checkWritable("vault", place.user, "", signal);
    assert.deepEqual(lines.map(({ ok }) => ok), ["ok"], JSON.stringify(lines));
    assert.deepEqual(await Array.fromAsync(place.owner.list("")), []);
    for (const rights of kind.less) {
      await using lesser = await kind.place(rights, "vault", "vault");
      const found = await checkWritable("vault", lesser.user, "", signal);
      assert.deepEqual(
        found.map(({ ok, code }) => [ok, code]),
        [["fail", "authentication"]],
        `${rights}: ${JSON.stringify(found)}`,
      );
    }
  });

  testArchiveSink(`backup sink in ${name} with a writer's rights`, {
    async store() {
      const place = await kind.place(kind.writes, "vault");
      return { open: () => Promise.resolve(place.user), [Symbol.asyncDispose]: () => place[Symbol.asyncDispose]() };
    },
  });
}
