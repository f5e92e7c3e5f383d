import { backupSnapshot, readBackup, readHistory } from "../../../sources/backup/mod.ts";
import type { HybridTs } from "../../../pipeline/model/mod.ts";
import type { PyMilvus } from "../../stack/pymilvus.ts";
import type { Running } from "../pipeline/running.ts";
import type { Vault } from "./backup_pipeline.ts";

/** Waits until the newest note of the backup says what the source says, and that counts by the source's clock, too. */
export async function untilNoted(
  run: Running,
  { store }: Vault,
  source: PyMilvus,
  names: readonly string[],
): Promise<void> {
  const wanted = new Map(
    await Promise.all(names.map(async (name) => {
      const { partitions, aliases } = await source.call("describe_collection", { name }) as Record<string, unknown>;
      return [
        name,
        JSON.stringify([Object.keys(partitions as object).sort(), (aliases as string[]).toSorted()]),
      ] as const;
    })),
  );
  let ts: HybridTs | undefined;
  await run.until("the backup has noted the catalog", async () => {
    const backup = await readBackup(store, "b");
    const { base, notes } = await readHistory(backup, backupSnapshot(backup));
    const { collections } = notes.at(-1)?.catalog ?? base;
    ts = notes.at(-1)?.ts;
    return collections.length === wanted.size &&
      collections.every(({ name, partitions, aliases }) =>
        wanted.get(name) === JSON.stringify([partitions.map((item) => item.name).sort(), [...aliases].sort()])
      );
  });
  // The source's timestamps can be behind the clock by which the backup notes what no log tells.
  await run.until("the source's clock is past the note", async () => {
    return ts === undefined || BigInt(await source.call("alloc_timestamp") as bigint) > ts;
  });
}
