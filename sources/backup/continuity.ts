/** Whether the log archive of a backup is one chain without holes, and how far it reaches. */
import { TidemarkError, toTidemarkError } from "../../pipeline/errors.ts";
import { before, type Cut, type HybridTs, type ObjectStore, type Position } from "../../pipeline/model/mod.ts";
import { positionsOf } from "../../pipeline/positions/mod.ts";
import {
  archiveFolder,
  listLogChannels,
  listLogFiles,
  type LogFileEntry,
  type LogFileFacts,
  reachOf,
  readLogFacts,
  readSilences,
} from "../../stores/mod.ts";

export interface ArchiveFinding {
  readonly pchannel: string;
  /**
   * `lost`: something is missing for good. `delayed`: the end lags behind the other pchannels, it may still come.
   * `damaged`: a file that cannot be read. `gap`: records the writer itself could not get and said so.
   */
  readonly kind: "lost" | "delayed" | "damaged" | "gap";
  readonly key: string;
  readonly detail: string;
}

export interface PchannelArchive {
  readonly pchannel: string;
  readonly files: number;
  readonly bytes: bigint;
  readonly firstOffset: Position;
  readonly lastOffset: Position;
  /** Everything up to this tick is there and connected with the cut; 0 if nothing is. */
  readonly until: HybridTs;
}

export interface ArchiveReport {
  readonly pchannels: readonly PchannelArchive[];
  readonly findings: readonly ArchiveFinding[];
  /** The last moment that all pchannels reach; undefined without an archive. */
  readonly until: HybridTs | undefined;
}

export interface ContinuityOptions {
  /** The backup's cuts; every pchannel of them must have an archive that begins no later. */
  readonly cuts: readonly Cut[];
  /** How far a pchannel may lag behind the furthest one before it is called delayed, ms. Default 5 minutes. */
  readonly lagMs?: number;
  /** The base is so young that its archive may not have a file yet: a missing one is delayed, not lost. Default false. */
  readonly young?: boolean;
  /**
   * Default false: the footer of every file is read. True: of a pchannel whose files are numbered without a hole, only the first
   * and the last, which states every gap of the chain.
   */
  readonly quick?: boolean;
}

export async function checkArchive(
  store: ObjectStore,
  name: string,
  options: ContinuityOptions,
  signal?: AbortSignal,
): Promise<ArchiveReport> {
  const starts = new Map<string, Position>();
  for (const { pchannel, offset } of options.cuts) {
    const known = starts.get(pchannel);
    if (known === undefined || offset < known) starts.set(pchannel, offset);
  }
  const names = new Set([...await listLogChannels(store, name, signal), ...starts.keys()]);
  const findings: ArchiveFinding[] = [];
  const pchannels: PchannelArchive[] = [];
  const silences = await readSilences(store, name, signal);
  for (const pchannel of [...names].sort()) {
    const found = await checkChain(
      store,
      name,
      pchannel,
      starts.get(pchannel),
      options,
      findings,
      signal,
    );
    if (found !== undefined) pchannels.push({ ...found, until: reachOf(found.until, silences.get(pchannel)) });
  }
  const needed = pchannels.filter(({ pchannel }) => starts.has(pchannel));
  const furthest = needed.reduce((max, { until }) => until > max ? until : max, 0n);
  const lag = BigInt(options.lagMs ?? 300_000) << 18n;
  for (const { pchannel, until, files } of needed) {
    if (
      files > 0 && until > 0n && until + lag < furthest && !findings.some((finding) => finding.pchannel === pchannel)
    ) {
      findings.push({
        pchannel,
        kind: "delayed",
        key: archiveFolder(name, pchannel),
        detail: `ends ${(furthest - until >> 18n) / 1000n} s before the furthest pchannel`,
      });
    }
  }
  const until = needed.length === 0 || needed.length < starts.size
    ? undefined
    : needed.reduce((min, archive) => archive.until < min ? archive.until : min, needed[0]!.until);
  return { pchannels, findings, until: until === 0n ? undefined : until };
}

async function checkChain(
  store: ObjectStore,
  name: string,
  pchannel: string,
  start: Position | undefined,
  { young = false, quick = false }: ContinuityOptions,
  findings: ArchiveFinding[],
  signal: AbortSignal | undefined,
): Promise<PchannelArchive | undefined> {
  const files = await listLogFiles(store, name, pchannel, signal);
  const folder = archiveFolder(name, pchannel);
  if (files.length === 0) {
    if (start !== undefined) {
      findings.push({
        pchannel,
        kind: young ? "delayed" : "lost",
        key: folder,
        detail: "has no file, though the base's cut is on this pchannel",
      });
    }
    return undefined;
  }
  const bytes = files.reduce((sum, { size }) => sum + size, 0n);
  const isNumbered = files.every(({ sequence }, i) => sequence === files[0]!.sequence + BigInt(i));
  const ends = [files[0]!, files.at(-1)!];
  if (quick && isNumbered && files.length > ends.length) {
    const sparse = await scan(store, ends, pchannel, start, true, signal);
    if (sparse.findings.length === 0) return { pchannel, files: files.length, bytes, ...sparse.reach };
  }
  const full = await scan(store, files, pchannel, start, false, signal);
  findings.push(...full.findings);
  return { pchannel, files: files.length, bytes, ...full.reach };
}

interface Scan {
  readonly findings: readonly ArchiveFinding[];
  readonly reach: Pick<PchannelArchive, "firstOffset" | "lastOffset" | "until">;
}

const FOOTERS_AT_ONCE = 16;

/** Reads the footers of `entries`; `sparse`: they do not follow each other. */
async function scan(
  store: ObjectStore,
  entries: readonly LogFileEntry[],
  pchannel: string,
  start: Position | undefined,
  sparse: boolean,
  signal: AbortSignal | undefined,
): Promise<Scan> {
  const findings: ArchiveFinding[] = [];
  const gaps = new Set<Position>();
  let previous: LogFileFacts | undefined;
  let first: LogFileFacts | undefined;
  let connected = true;
  let until: HybridTs = 0n;
  for (let at = 0; at < entries.length; at += FOOTERS_AT_ONCE) {
    const some = entries.slice(at, at + FOOTERS_AT_ONCE);
    const footers = await Promise.all(some.map((entry) => readLogFacts(store, entry, signal).catch(toTidemarkError)));
    for (const [i, entry] of some.entries()) {
      const facts = footers[i]!;
      if (facts instanceof TidemarkError) {
        signal?.throwIfAborted();
        findings.push({ pchannel, kind: "damaged", key: entry.key, detail: facts.message });
        connected = false;
        continue;
      }
      const complaint = complaintOf(sparse && at + i > 0 ? "any" : previous, facts, entry.sequence, pchannel, start);
      if (complaint !== undefined) {
        findings.push({ pchannel, kind: "lost", key: entry.key, detail: complaint });
        connected = false;
      }
      const { format } = positionsOf(facts.queue);
      for (const gap of facts.gaps) {
        if (gaps.has(gap.from)) continue;
        gaps.add(gap.from);
        findings.push({
          pchannel,
          kind: "gap",
          key: entry.key,
          detail: `records ${format(gap.from)} to ${format(before(gap.to))}: ${gap.reason}`,
        });
        if (start === undefined || gap.to > start) connected = false;
      }
      if (connected) until = facts.resume.tick;
      first ??= facts;
      previous = facts;
    }
  }
  return {
    findings,
    reach: { firstOffset: first?.firstOffset ?? -1n, lastOffset: previous?.lastOffset ?? -1n, until },
  };
}

/** `previous`: the file before it, undefined for the first of all, `any` if it is not known. */
function complaintOf(
  previous: LogFileFacts | "any" | undefined,
  facts: LogFileFacts,
  sequence: bigint,
  pchannel: string,
  start: Position | undefined,
): string | undefined {
  const { format } = positionsOf(facts.queue);
  if (facts.sequence !== sequence || facts.pchannel !== pchannel) {
    return `is file ${facts.sequence} of ${facts.pchannel} by its own word: it was renamed or moved`;
  }
  if (previous === "any") return undefined;
  if (previous === undefined) {
    return start !== undefined && facts.previousLastOffset >= start
      ? `begins after ${format(facts.previousLastOffset)}, but the base's cut is at ${format(start)}`
      : undefined;
  }
  if (facts.sequence !== previous.sequence + 1n) {
    return `files ${previous.sequence + 1n} to ${facts.sequence - 1n} are missing`;
  }
  if (facts.previousLastOffset !== previous.lastOffset) {
    return `follows ${format(facts.previousLastOffset)}, but the file before it ends at ${format(previous.lastOffset)}`;
  }
  return undefined;
}

const YOUNG_MS = 600_000;

/** Whether the base was finished in the last ten minutes: its run may not have closed the first archive files. */
export function isYoung(manifest: { readonly finishedMs: number }, nowMs: number = Date.now()): boolean {
  return nowMs - manifest.finishedMs < YOUNG_MS;
}
