/** Restores by the target's own bulk import: its storage as a sink names it, and what an import must not leave behind. */
import assert from "node:assert/strict";
import { createFileStore } from "../../../stores/mod.ts";
import type { PyMilvus } from "../../stack/pymilvus.ts";
import { assertSame } from "../pipeline/comparison.ts";
import type { ExitReport } from "../pipeline/tidemark_process.ts";
import { RestoreSetup, type RestoreSetupOptions } from "./restore_setup.ts";

/** `storage` of a sink: the bucket or folder that the stack's target reads. */
export function targetStorage(env: Record<string, string>): Record<string, unknown> {
  if (env.TARGET_FILES !== undefined) return { type: "file", path: env.TARGET_FILES };
  return {
    type: "s3",
    endpoint: env.S3_ENDPOINT,
    bucket: env.TARGET_BUCKET,
    root_path: "files",
    access_key_id: env.S3_ACCESS_KEY,
    secret_access_key: env.S3_SECRET_KEY,
  };
}

/** Keys below the target's root that are no files of its own. */
export async function leftOver(env: Record<string, string>, server: PyMilvus): Promise<string[]> {
  if (env.TARGET_FILES !== undefined) {
    const files = createFileStore(env.TARGET_FILES);
    return (await Array.fromAsync(files.list("tidemark_import/"))).map(({ key }) => key);
  }
  const store = {
    endpoint: env.S3_ENDPOINT,
    bucket: env.TARGET_BUCKET,
    access_key: env.S3_ACCESS_KEY,
    secret_key: env.S3_SECRET_KEY,
  };
  const listed = await server.call("list_objects", { store, prefix: "files/tidemark_import/" });
  return Object.keys(listed as Record<string, unknown>);
}

export interface ImportRestore extends Pick<RestoreSetupOptions, "env" | "backup"> {
  readonly target: PyMilvus;
  readonly db: string;
  readonly args?: readonly string[];
  /** Collections of `default`; default: all. */
  readonly include?: readonly string[];
  /** Over `restore_by: import` and the right storage. */
  readonly sink?: Record<string, unknown>;
  /** Others import at the same time: what lies below the target's root may be theirs. */
  readonly together?: boolean;
}

/** Restores default.* into `db` by import. */
export async function restoreByImport(
  { env, backup, target, db, args = [], include = ["*"], sink = {}, together = false }: ImportRestore,
): Promise<ExitReport> {
  await using setup = await RestoreSetup.make({
    env,
    backup,
    transforms: {
      select: { include: include.map((name) => `default.${name}`) },
      route: [{ from: "default.*", to: `${db}.*` }],
    },
    sink: { restore_by: "import", storage: targetStorage(env), ...sink },
  });
  const report = await setup.restore(args);
  if (!together) assert.deepEqual(await leftOver(env, target), []);
  return report;
}

export async function restoreByRows({ env, backup, db, args = [] }: ImportRestore): Promise<ExitReport> {
  await using setup = await RestoreSetup.make({
    env,
    backup,
    transforms: { route: [{ from: "default.*", to: `${db}.*` }] },
    sink: { restore_by: "rows" },
  });
  return await setup.restore(args);
}

/** Restores `names` both ways and compares every row. Returns what the one by import printed. */
export async function assertSameBothWays(
  options: Omit<ImportRestore, "db">,
  prefix: string,
  names: readonly string[],
): Promise<ExitReport> {
  const [byRows, byImport] = [`${prefix}rows`, `${prefix}import`];
  const [report] = await Promise.all([
    restoreByImport({ ...options, db: byImport }),
    restoreByRows({ ...options, db: byRows }),
  ]);
  const { target } = options;
  for (const name of names) {
    // One by rows ends before it is loaded.
    for (const db of [byRows, byImport]) await target.call("load_collection", { name, db });
    await assertSame({ server: target, db: byRows, name }, { server: target, db: byImport, name });
    for (const db of [byRows, byImport]) await target.call("drop_collection", { name, db });
  }
  return report;
}

/**
 * Asserts that of each collection rows were imported. How many depends on the place of the cut, where that is in the middle of
 * a segment: rows of the cut's own millisecond are written one by one.
 */
export function assertImported({ stderr }: ExitReport, names: readonly string[]): void {
  for (const name of names) assert.match(stderr, new RegExp(`\\b${name}: [1-9]\\d* rows? imported in`));
}

/** Rows of which the report says that they were imported. */
export function importedRows({ stderr }: ExitReport): number {
  return [...stderr.matchAll(/: (\d+) rows? imported in/g)].reduce((sum, [, rows]) => sum + Number(rows), 0);
}
