/** Writes to the source while Tidemark runs: rows, upserts, deletes and changes of structure. */
import type { PyMilvus } from "../stack/mod.ts";

export interface Written {
  inserts: number;
  upserts: number;
  deletes: number;
  ddl: number;
}

export async function writeWhileRunning(source: PyMilvus, signal: AbortSignal): Promise<Written> {
  const written: Written = { inserts: 0, upserts: 0, deletes: 0, ddl: 0 };
  let next = 30000;
  for (let round = 0; !signal.aborted; round++) {
    await source.call("insert_generated", { name: "books", start: next, count: 400, seed: 7 });
    next += 400;
    await source.call("insert_generated", {
      name: "books",
      start: round * 50,
      count: 50,
      seed: 8 + round,
      upsert: true,
    });
    await source.call("delete", { name: "books", start: 5000 + round * 20, count: 20 });
    await source.call("insert_generated", {
      name: "authors",
      start: round * 10,
      count: 10,
      seed: 9 + round,
      upsert: true,
    });
    written.inserts += 400;
    written.upserts += 60;
    written.deletes += 20;
    if (round === 1) await structure(source, written);
  }
  return written;
}

async function structure(source: PyMilvus, written: Written): Promise<void> {
  await source.call("create_collection", {
    name: "notes",
    fields: [
      { name: "id", type: "Int64", primary: true },
      { name: "vec", type: "FloatVector", dim: 8 },
    ],
    indexes: [{ field: "vec", params: { index_type: "FLAT", metric_type: "IP" } }],
    load: true,
  });
  await source.call("insert_generated", { name: "notes", start: 0, count: 100, seed: 1 });
  await source.call("drop_partition", { name: "books", partition: "archive" });
  await source.call("create_alias", { name: "books", alias: "library" });
  await source.call("create_partition", { name: "authors", partition: "living" });
  written.inserts += 100;
  written.ddl += 4;
}
