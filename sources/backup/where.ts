/** Where the backups are that are not where somebody looks. */
import type { ObjectStore } from "../../pipeline/model/mod.ts";
import { enumerate } from "../../pipeline/units/mod.ts";
import { metaKey } from "../../stores/mod.ts";

/** Folders that are looked into for backups one level further down. */
const LOOKED_INTO = 20;

/** A sentence: the backups of this place, or what is wrong with the place. */
export async function whereBackupsAre(store: ObjectStore, signal?: AbortSignal): Promise<string> {
  const folders = await store.folders("", signal);
  const isBackup = async (name: string) => await store.head(metaKey(name, "backup_meta"), signal) !== undefined;
  const names: string[] = [];
  for (const name of folders) if (await isBackup(name)) names.push(name);
  if (names.length > 0) return `There are: ${enumerate(names)}.`;
  if (folders.includes("meta") && (folders.includes("binlogs") || folders.includes("log"))) {
    return "This is the inside of a backup: give the folder that it lies in.";
  }
  const deeper: string[] = [];
  for (const folder of folders.slice(0, LOOKED_INTO)) {
    for (const name of await store.folders(`${folder}/`, signal)) {
      if (await isBackup(`${folder}/${name}`)) {
        deeper.push(folder);
        break;
      }
    }
  }
  if (deeper.length > 0) {
    return `There is none here, but there are some one level further down, in ${enumerate(deeper)}.`;
  }
  return folders.length === 0
    ? "There is nothing at all here: check bucket, prefix or path."
    : `There is no backup here, only ${enumerate(folders)}: check bucket, prefix or path.`;
}
