/** A new base in the same run takes over the part of the log archive that it needs, so that it can be restored alone. */
import type { BaseFacts, ObjectStore } from "../../pipeline/model/mod.ts";
import {
  archiveKey,
  catalogFolder,
  catalogKey,
  linkObject,
  listLogFiles,
  type LogFileEntry,
  readLogFacts,
} from "../../stores/mod.ts";

/**
 * Copies the archive files of `from` that hold offsets from the cuts on, with their numbers, and what was noted of the catalog
 * after the base's snapshot. Files that are there already are left. Returns the pchannels that got files.
 */
export async function adoptLogFiles(
  store: ObjectStore,
  from: string,
  to: string,
  { cuts, revision }: Pick<BaseFacts, "cuts" | "revision">,
  signal: AbortSignal,
): Promise<string[]> {
  for await (const { key } of store.list(catalogFolder(from), signal)) {
    const own = catalogFolder(to) + key.slice(catalogFolder(from).length);
    if (own > catalogKey(to, revision)) await copyWithin(store, key, own, signal);
  }
  const starts = new Map<string, bigint>();
  for (const { pchannel, offset } of cuts) {
    const known = starts.get(pchannel);
    if (known === undefined || offset < known) starts.set(pchannel, offset);
  }
  for (const [pchannel, start] of starts) {
    const there = new Map(
      (await listLogFiles(store, to, pchannel, signal)).map((entry) => [entry.sequence, entry.size]),
    );
    for (const entry of await filesFrom(store, from, pchannel, start, signal)) {
      if (there.get(entry.sequence) === entry.size) continue;
      const key = archiveKey(to, pchannel, entry.sequence);
      await copyWithin(store, entry.key, key, signal);
    }
  }
  return [...starts.keys()];
}

async function copyWithin(store: ObjectStore, from: string, to: string, signal: AbortSignal): Promise<void> {
  if (await linkObject(store, from, store, to)) return;
  if (await store.copyFrom(store, from, to, signal)) return;
  await store.put(to, await store.get(from, undefined, signal), {}, signal);
}

/** The files that hold records from `start` on. Searched from the end: a cut is recent. */
async function filesFrom(
  store: ObjectStore,
  name: string,
  pchannel: string,
  start: bigint,
  signal: AbortSignal,
): Promise<LogFileEntry[]> {
  const files = await listLogFiles(store, name, pchannel, signal);
  for (let i = files.length - 1; i >= 0; i--) {
    const facts = await readLogFacts(store, files[i]!, signal);
    if (facts.firstOffset <= start) return facts.lastOffset < start ? files.slice(i + 1) : files.slice(i);
  }
  return files;
}
