/** What a source holds, and what a backup of it says, that a restore by import must bring to the row. */
import { encodeManifest, manifestKey } from "../../../stores/mod.ts";
import type { PyMilvus } from "../../stack/pymilvus.ts";
import { small } from "../pipeline/servers.ts";
import { manifestOf, type Vault } from "./backup_pipeline.ts";

/**
 * Two shards, two partitions, several requests in one segment and in several, deletes before, between and after them.
 * `twins`: keys twice without a delete between, also in one request; which of these rows a source's query shows is its secret.
 * Returns timestamps of requests in the middle.
 */
export async function fill(source: PyMilvus, name: string, twins: boolean): Promise<bigint[]> {
  const moments: bigint[] = [];
  const note = (answer: unknown) => moments.push(BigInt((answer as { timestamp: bigint }).timestamp));
  await source.call("create_collection", small(name, { shards: 2, partitions: ["p1", "p2"] }));
  await source.call("insert_generated", { name, start: 0, count: 2000, seed: 1, batch: 500 });
  note(await source.call("insert_generated", { name, start: 2000, count: 500, seed: 1, partition: "p1" }));
  // One key in two partitions; a delete of one of them.
  await source.call("insert_generated", { name, start: 0, count: 50, seed: 3, partition: "p1" });
  await source.call("delete", { name, start: 10, count: 10, partition: "p1" });
  await source.call("flush", { name });
  await source.call("delete", { name, start: 100, count: 300 });
  await source.call("insert_generated", { name, start: 150, count: 20, seed: 4 });
  // Upserts, twice the same keys: in one segment with what they replace, and in another.
  for (const seed of [5, 6]) {
    note(await source.call("insert_generated", { name, start: 500, count: 200, seed, upsert: true }));
  }
  if (twins) {
    // Inserted again without a delete.
    await source.call("insert_generated", { name, start: 900, count: 30, seed: 7 });
    const rows = [1, 2].flatMap((mark) => [5001, 5002, 5003].map((id) => ({ id, vec: [mark, id, 0, 1] })));
    await source.call("insert", { name, rows });
    await source.call("delete", { name, pks: [5003] });
  }
  await source.call("flush", { name });
  await source.call("delete", { name, start: 2100, count: 50, partition: "p1" });
  return moments;
}

/** After a base: rows, deletes of rows of the base, upserts. */
export async function more(source: PyMilvus, name: string): Promise<void> {
  await source.call("insert_generated", { name, start: 3000, count: 300, seed: 1, partition: "p2" });
  await source.call("delete", { name, start: 600, count: 50 });
  await source.call("insert_generated", { name, start: 700, count: 40, seed: 8, upsert: true });
}

/**
 * The same files with earlier cuts: rows and deletes later than they are in them, in the middle of a segment. `times`: one for
 * each collection, in the order in which these were made.
 */
export async function moveCuts(vault: Vault, name: string, times: readonly bigint[]): Promise<void> {
  const manifest = await manifestOf(vault, name);
  const ids = [...new Set(manifest.cuts.map(({ collectionId }) => collectionId))].sort((a, b) => a < b ? -1 : 1);
  if (ids.length !== times.length) throw new Error(`${ids.length} collections, ${times.length} times`);
  const cuts = manifest.cuts.map((cut) => ({ ...cut, ts: times[ids.indexOf(cut.collectionId)]! }));
  const text = encodeManifest({ ...manifest, objects: manifest.objects, cuts });
  await vault.store.put(manifestKey(name), new TextEncoder().encode(text));
}
