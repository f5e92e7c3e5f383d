/** A folder as a read-only object store. */
import { createMemoryStore, type MemoryStore } from "../../../stores/mod.ts";

/** Every file below `folder`, by its path from there. */
export async function storeOf(folder: URL, prefix = ""): Promise<MemoryStore> {
  const store = createMemoryStore();
  const load = async (at: URL, path: string): Promise<void> => {
    for (const entry of Deno.readDirSync(at)) {
      const next = new URL(`${encodeURIComponent(entry.name)}${entry.isDirectory ? "/" : ""}`, at);
      if (entry.isDirectory) await load(next, `${path}${entry.name}/`);
      else await store.put(`${path}${entry.name}`, Deno.readFileSync(next));
    }
  };
  await load(folder, prefix);
  return store;
}

/** The lines of a JSONL file. */
export function linesOf<T>(file: URL): T[] {
  return Deno.readTextFileSync(file).trim().split("\n").map((line) => JSON.parse(line) as T);
}
