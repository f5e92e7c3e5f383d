/** A new base in the same run takes over the part of the log archive that it needs, so that it can be restored alone. */
import type { BaseFacts, HybridTs, ObjectStore } from "../../pipeline/model/mod.ts";
import {
  alterationFolder,
  archiveKey,
  catalogFolder,
  catalogKey,
  dropFolder,
  linkObject,
  listAlterations,
  listDrops,
  listLogChannels,
  listLogFiles,
  type LogFileEntry,
  type LogFileFacts,
  readLogFacts,
  silenceFolder,
} from "../../stores/mod.ts";

/**
 * Copies the archive files of `from` that hold offsets from the cuts on, with their numbers, and what was noted of the catalog
 * after the base's snapshot, of drops and alterations after its oldest cut, and of silent pchannels. A pchannel without a cut may be that of a
 * collection made since: there all that is later than the oldest cut is taken. One on which nothing was written since its cut
 * keeps the last file before it: silences count from its end. Files that are there already are left. Returns the pchannels that
 * got files.
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
  let oldest: HybridTs | undefined;
  for (const { pchannel, offset, ts } of cuts) {
    if (oldest === undefined || ts < oldest) oldest = ts;
    const known = starts.get(pchannel);
    if (known === undefined || offset < known) starts.set(pchannel, offset);
  }
  for (const [list, folder] of [[listDrops, dropFolder], [listAlterations, alterationFolder]] as const) {
    for await (const { key, ts } of list(store, from, signal)) {
      if (oldest !== undefined && ts <= oldest) continue;
      await copyWithin(store, key, folder(to) + key.slice(folder(from).length), signal);
    }
  }
  // Without them the moments between a pchannel's last tick and the end of the archive could not be restored.
  for await (const { key } of store.list(silenceFolder(from), signal)) {
    await copyWithin(store, key, silenceFolder(to) + key.slice(silenceFolder(from).length), signal);
  }
  const pchannels = new Set([...starts.keys(), ...await listLogChannels(store, from, signal)]);
  for (const pchannel of pchannels) {
    const start = starts.get(pchannel);
    const before = (facts: LogFileFacts) =>
      start === undefined ? facts.resume.tick <= (oldest ?? 0n) : facts.lastOffset < start;
    const there = new Map(
      (await listLogFiles(store, to, pchannel, signal)).map((entry) => [entry.sequence, entry.size]),
    );
    for (const entry of await filesFrom(store, from, pchannel, before, start !== undefined, signal)) {
      if (there.get(entry.sequence) === entry.size) continue;
      const key = archiveKey(to, pchannel, entry.sequence);
      await copyWithin(store, entry.key, key, signal);
    }
  }
  return [...pchannels];
}

async function copyWithin(store: ObjectStore, from: string, to: string, signal: AbortSignal): Promise<void> {
  if (await linkObject(store, from, store, to)) return;
  if (await store.copyFrom(store, from, to, signal)) return;
  await store.put(to, await store.get(from, undefined, signal), {}, signal);
}

/** The files behind the last one for which `before` holds, or `atLeast` that one. Searched from the end: a cut is recent. */
async function filesFrom(
  store: ObjectStore,
  name: string,
  pchannel: string,
  before: (facts: LogFileFacts) => boolean,
  atLeast: boolean,
  signal: AbortSignal,
): Promise<LogFileEntry[]> {
  const files = await listLogFiles(store, name, pchannel, signal);
  for (let i = files.length - 1; i >= 0; i--) {
    if (!before(await readLogFacts(store, files[i]!, signal))) continue;
    return files.slice(atLeast && i + 1 === files.length ? i : i + 1);
  }
  return files;
}
