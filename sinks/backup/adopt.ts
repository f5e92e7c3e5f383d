/** A new base in the same run takes over the part of the log archive that it needs, so that it can be restored alone. */
import type { Cut, ObjectStore } from "../../pipeline/model/mod.ts";
import { archiveKey, linkObject, listLogFiles, type LogFileEntry, readLogFacts } from "../../stores/mod.ts";

/**
 * Copies the archive files of `from` that hold offsets from the cuts on, with their numbers. Files that are there already are
 * left. Returns the pchannels that got files.
 */
export async function adoptLogFiles(
  store: ObjectStore,
  from: string,
  to: string,
  cuts: readonly Cut[],
  signal: AbortSignal,
): Promise<string[]> {
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
      if (await linkObject(store, entry.key, store, key)) continue;
      if (await store.copyFrom(store, entry.key, key, signal)) continue;
      await store.put(key, await store.get(entry.key, undefined, signal), {}, signal);
    }
  }
  return [...starts.keys()];
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
