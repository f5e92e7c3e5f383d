/** A pipeline with a backup sink, and the proof of what it wrote: verify --deep, an archive without holes, every row restored. */
import assert from "node:assert/strict";
import { parseJson } from "../../../pipeline/json.ts";
import type { HybridTs, ObjectStore } from "../../../pipeline/model/mod.ts";
import { checkArchive, listBackups, openBackupSource, verifyBackup } from "../../../sources/backup/mod.ts";
import { type BackupManifest, createFileStore, decodeManifest, manifestKey, metaKey } from "../../../stores/mod.ts";
import { openBucket } from "../../stack/bucket.ts";
import type { PyMilvus } from "../../stack/pymilvus.ts";
import { assertSameRows } from "../pipeline/comparison.ts";
import { type ExitReport, type Running, TidemarkSetup } from "../pipeline/tidemark_process.ts";

/** Where a test's backups lie. */
export interface Vault extends AsyncDisposable {
  /** The `storage` of a sink or source. */
  readonly storage: Record<string, unknown>;
  readonly store: ObjectStore;
  /** Arguments of the `backup` commands that name the place. */
  readonly place: readonly string[];
  readonly env: Record<string, string>;
}

/** `within`: a folder to make it in; default: the temporary one. */
export async function folderVault(within?: string): Promise<Vault> {
  const path = await Deno.makeTempDir({ prefix: "tidemark_vault_", ...(within === undefined ? {} : { dir: within }) });
  const store = createFileStore(path);
  return {
    storage: { type: "file", path },
    store,
    place: ["--storage", path],
    env: {},
    async [Symbol.asyncDispose]() {
      await store.close();
      await Deno.remove(path, { recursive: true });
    },
  };
}

/** The source's own bucket, for tests that look into it or damage it. */
export function sourceBucket(env: Record<string, string>): AsyncDisposable & { readonly store: ObjectStore } {
  const store = openBucket(env, env.SOURCE_BUCKET!);
  return { store, [Symbol.asyncDispose]: () => store.close() };
}

/** A prefix in the source's own bucket, so that the server copies by itself. */
export function s3Vault(env: Record<string, string>, bucket = env.SOURCE_BUCKET!): Vault {
  const prefix = `backup-test-${crypto.randomUUID().slice(0, 8)}`;
  const store = openBucket(env, bucket, prefix);
  return {
    storage: {
      type: "s3",
      endpoint: env.S3_ENDPOINT,
      bucket,
      prefix,
      access_key_id: env.S3_ACCESS_KEY,
      secret_access_key: env.S3_SECRET_KEY,
    },
    store,
    place: ["--storage", `s3://${bucket}/${prefix}`, "--endpoint", env.S3_ENDPOINT!],
    env: { AWS_ACCESS_KEY_ID: env.S3_ACCESS_KEY!, AWS_SECRET_ACCESS_KEY: env.S3_SECRET_KEY! },
    async [Symbol.asyncDispose]() {
      await store.delete((await Array.fromAsync(store.list(""))).map(({ key }) => key));
      await store.close();
    },
  };
}

/** A sink of type backup into `vault`. */
export function vaultSink(vault: Vault, more: Record<string, unknown> = {}): Record<string, unknown> {
  return { type: "backup", name: "b", storage: vault.storage, roll: { age: "1s" }, ...more };
}

export async function manifestOf({ store }: Vault, name: string): Promise<BackupManifest> {
  const key = manifestKey(name);
  return decodeManifest(new TextDecoder().decode(await store.get(key)), key);
}

export async function backupNames({ store }: Vault): Promise<string[]> {
  return (await listBackups(store)).map(({ name }) => name).sort();
}

/** Names of those whose base is finished, oldest first. */
export async function listComplete({ store }: Vault): Promise<string[]> {
  const complete = [];
  for (const { name } of await listBackups(store)) {
    if (await store.head(metaKey(name, "backup_meta"))) complete.push(name);
  }
  return complete.sort();
}

/** Waits until the base of the backup is complete in each of `vaults`. */
export async function untilBased(run: Running, vaults: readonly Vault[], name: string): Promise<void> {
  await run.until("the base is complete", async () => {
    const metas = await Promise.all(vaults.map(({ store }) => store.head(metaKey(name, "backup_meta"))));
    return metas.every((meta) => meta !== undefined);
  });
}

/** Waits until the backup can be restored to the moment: its archive is past it. */
export async function untilRestorable(run: Running, { store }: Vault, name: string, ts: HybridTs): Promise<void> {
  await run.until("the archive is past the moment", async () => {
    const { restorable } = await openBackupSource(store, name);
    return restorable !== undefined && restorable.to.ts > ts;
  });
}

/** `backup verify --deep` says ok, and every pchannel's archive is one chain from the cut on. */
export async function assertGood(setup: TidemarkSetup, vault: Vault, name: string): Promise<void> {
  const { code, stdout, stderr } = await setup.command(
    ["backup", "verify", name, "--deep", "--json", "--config", setup.config],
  );
  assert.equal(code, 0, `${stdout}\n${stderr}`);
  const report = parseJson(stdout) as unknown as { ok: boolean; findings: unknown[] };
  assert.ok(report.ok, stdout);
  await assertChain(vault, name);
}

/** The same without a process of its own. */
export async function assertWhole(vault: Vault, name: string): Promise<void> {
  const report = await verifyBackup(vault.store, name, { deep: true });
  assert.ok(report.ok, `${name}: ${JSON.stringify(report.findings)}`);
  await assertChain(vault, name);
}

async function assertChain(vault: Vault, name: string): Promise<void> {
  const { cuts } = await manifestOf(vault, name);
  const archive = await checkArchive(vault.store, name, { cuts });
  assert.deepEqual(archive.findings, []);
}

/** Of the line with which a run says that its base is done. */
export function copiedFiles({ stderr }: ExitReport): { copied: number; present: number; own: number } {
  const found = /(\d+) files? copied, (\d+) there from before, (\d+) deletes? added/.exec(stderr);
  assert.ok(found !== null, `no base was finished:\n${stderr}`);
  return { copied: Number(found[1]), present: Number(found[2]), own: Number(found[3]) };
}

export interface RestoreOptions {
  readonly env: Record<string, string>;
  readonly vault: Vault;
  readonly backup: string;
  readonly source: PyMilvus;
  readonly target: PyMilvus;
  /** Collections of the source, which must be as they were at the end of the backup. */
  readonly names: readonly string[];
  readonly until?: string;
  /** What the restored collections are called; default: with `_back` at the end. */
  readonly as?: (name: string) => string;
}

/** Restores to the end of the archive under other names and compares every row. */
export async function assertRestores(options: RestoreOptions): Promise<void> {
  const { env, vault, backup, source, target, names, until, as = (name) => `${name}_back` } = options;
  await using setup = await TidemarkSetup.make({
    env,
    include: names.map((name) => `default.${name}`),
    route: names.map((name) => ({ from: `default.${name}`, to: `default.${as(name)}` })),
    extra: { pipeline: "restore", sources: { backup: { name: backup, storage: vault.storage } } },
  });
  const { code, stderr, stdout } = await setup.command(
    ["backup", "restore", "--config", setup.config, ...(until === undefined ? [] : ["--until", until])],
  );
  assert.equal(code, 0, `${stdout}\n${stderr}`);
  for (const name of names) {
    await target.call("load_collection", { name: as(name) }).catch(() => {});
    await assertSameRows({ server: source, name }, { server: target, name: as(name) });
    await target.call("drop_collection", { name: as(name) });
  }
}
