/** Giving an object of a folder a second name, without storing it again. */
import { dirname, join } from "node:path";
import type { ObjectStore } from "../../pipeline/model/mod.ts";
import { validateKey } from "./key.ts";
import { undecorated } from "./undecorated.ts";

/**
 * A hard link, where both stores are folders of one file system. False where that is not so, or `sourceKey` does not exist:
 * the caller copies then. Only for objects that nobody changes in place: damage to one is damage to both.
 */
export async function linkObject(
  source: ObjectStore,
  sourceKey: string,
  target: ObjectStore,
  key: string,
): Promise<boolean> {
  const bottom = undecorated(target) as { link?(sourceKey: string, key: string): Promise<boolean> };
  // A store that must know of it, as one whose objects are encrypted.
  if (bottom.link !== undefined) return undecorated(source) === bottom && await bottom.link(sourceKey, key);
  const from = folderOf(source);
  const to = folderOf(target);
  if (from === undefined || to === undefined) return false;
  validateKey(sourceKey);
  validateKey(key);
  const file = join(to, key);
  try {
    await Deno.mkdir(dirname(file), { recursive: true });
    await Deno.link(join(from, sourceKey), file);
    using directory = await Deno.open(dirname(file), { read: true });
    await directory.sync();
    return true;
  } catch (error) {
    // What is there already is the same object: keys of a backup's files are unique for ever.
    return error instanceof Deno.errors.AlreadyExists;
  }
}

function folderOf(store: ObjectStore): string | undefined {
  const bottom = undecorated(store) as { readonly folder?: unknown };
  return typeof bottom.folder === "string" ? bottom.folder : undefined;
}
