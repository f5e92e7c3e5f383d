/** Whether a backup can be trusted: every object against its checksum, the archive's chain, metadata against files. */
import { toTidemarkError } from "../../pipeline/errors.ts";
import type { LogFile, ObjectInfo, ObjectStore, Position } from "../../pipeline/model/mod.ts";
import { positionsOf } from "../../pipeline/positions/mod.ts";
import {
  algorithmOf,
  backupFolder,
  binlogFolder,
  checksumOf,
  checksumOfStream,
  deltaPath,
  encryptionOf,
  insertPath,
  listLogFiles,
  type LogFileFacts,
  manifestsFolder,
  readLogBytes,
  readLogFacts,
} from "../../stores/mod.ts";
import { backupBinlogs } from "./binlogs.ts";
import { type ArchiveReport, checkArchive, isYoung } from "./continuity.ts";
import { readHistory } from "./history.ts";
import { restorableRange } from "./restorable.ts";
import { type OpenedBackup, readBackup } from "./read.ts";
import { backupSnapshot } from "./snapshot.ts";
import { isSampled, type VerifyFinding, type VerifyOptions, type VerifyReport } from "./verify_report.ts";
import { verifyStored } from "./verify_stored.ts";

interface Expected {
  readonly path: string;
  /** Undefined where only the metadata says something, and not the size. */
  readonly size: bigint | undefined;
  readonly sum: string | undefined;
}

/**
 * Throws as {@link readBackup} does when there is nothing to verify; everything else is a finding. One that is encrypted is
 * verified as it is stored where its key is not at hand; `deep` throws `authentication` then.
 */
export async function verifyBackup(
  store: ObjectStore,
  name: string,
  options: VerifyOptions = {},
  signal: AbortSignal = new AbortController().signal,
): Promise<VerifyReport> {
  const encryption = await encryptionOf(store, name, signal);
  if (encryption?.locked !== undefined) {
    if (options.deep === true) throw encryption.locked;
    return await verifyStored(encryption.stored, name, options, signal);
  }
  const backup = await readBackup(store, name, signal);
  const { manifest } = backup;
  const run: Run = {
    store,
    name,
    findings: [],
    found: 0,
    unchecked: 0,
    readObjects: 0,
    readBytes: 0n,
    sample: options.sample ?? 1,
    seed: options.seed ?? new Date().toISOString().slice(0, 10),
    signal,
  };
  const expected = expectedObjects(backup);
  await verifyObjects(run, expected, options);
  const archive = manifest?.logArchive
    ? await checkArchive(store, name, { cuts: manifest.cuts, young: isYoung(manifest) }, signal)
    : undefined;
  if (archive !== undefined) await verifyArchive(run, archive, options.deep === true);
  const rows = options.deep === true ? await decodeAll(run, backup) : undefined;
  const count = (kind: VerifyFinding["kind"]) => run.findings.filter((finding) => finding.kind === kind).length;
  return {
    name,
    contentsRead: true,
    ok: run.findings.every(({ kind }) => kind === "delayed" || kind === "surplus"),
    found: run.found,
    delayed: count("delayed"),
    lost: count("lost"),
    damaged: count("damaged"),
    read: { objects: run.readObjects, bytes: run.readBytes },
    unchecked: run.unchecked,
    rows,
    rewrittenSegments: (manifest?.segments ?? []).filter(({ rewritten }) => rewritten).length,
    findings: run.findings,
    restorable: restorableRange(
      manifest?.exactFrom,
      archive,
      await readHistory(backup, backupSnapshot(backup), signal),
    ),
  };
}

interface Run {
  readonly store: ObjectStore;
  readonly name: string;
  readonly findings: VerifyFinding[];
  found: number;
  unchecked: number;
  readObjects: number;
  readBytes: bigint;
  readonly sample: number;
  readonly seed: string;
  readonly signal: AbortSignal;
}

/** What the manifest lists, or, without one, what the metadata names. */
function expectedObjects({ manifest, meta, name }: OpenedBackup): Map<string, Expected> {
  const expected = new Map<string, Expected>();
  for (const { path, size, sum } of manifest?.objects ?? []) expected.set(path, { path, size, sum });
  for (const { segments } of meta.collections) {
    for (const segment of segments) {
      const add = (path: string, size: bigint) => {
        const key = binlogFolder(name).slice(backupFolder(name).length) + path;
        if (!expected.has(key)) expected.set(key, { path: key, size: size === 0n ? undefined : size, sum: undefined });
      };
      for (const { fieldId, files } of segment.binlogs) {
        for (const { logId, size } of files) add(insertPath(segment, fieldId, logId), size);
      }
      for (const { files } of segment.deltalogs) {
        for (const { logId, size } of files) add(deltaPath(segment, logId), size);
      }
    }
  }
  return expected;
}

async function verifyObjects(run: Run, expected: Map<string, Expected>, options: VerifyOptions): Promise<void> {
  const { store, name, signal, findings } = run;
  const there = new Map<string, ObjectInfo>();
  for (const prefix of [binlogFolder(name), manifestsFolder(name), `${name}/meta/`]) {
    for await (const info of store.list(prefix, signal)) there.set(info.key.slice(backupFolder(name).length), info);
  }
  for (const path of there.keys()) {
    if (!expected.has(path) && !path.startsWith("meta/")) {
      findings.push({
        kind: "surplus",
        key: `${name}/${path}`,
        detail: "no metadata names it; a restore by prefix would read it",
      });
    }
  }
  const items = [...expected.values()];
  let next = 0;
  const worker = async () => {
    for (let item = items[next++]; item !== undefined; item = items[next++]) {
      signal.throwIfAborted();
      await verifyObject(run, item, there.get(item.path));
      options.onProgress?.({ objects: run.found, bytes: run.readBytes, ofObjects: items.length });
    }
  };
  await Promise.all(Array.from({ length: options.parallel ?? 8 }, worker));
}

async function verifyObject(run: Run, { path, size, sum }: Expected, info: ObjectInfo | undefined): Promise<void> {
  const key = `${run.name}/${path}`;
  const add = (kind: VerifyFinding["kind"], detail: string) => void run.findings.push({ kind, key, detail });
  if (info === undefined) return add("lost", "is not there");
  if (size !== undefined && info.size !== size) return add("damaged", `has ${info.size} bytes, expected ${size}`);
  const algorithm = sum === undefined ? undefined : algorithmOf(sum);
  if (algorithm === undefined) {
    run.found++;
    run.unchecked++;
    return;
  }
  if (!isSampled(path, run)) {
    run.found++;
    return;
  }
  try {
    const read = await checksumOfStream(run.store.stream(key, run.signal), algorithm);
    run.readObjects++;
    run.readBytes += read.bytes;
    if (read.sum !== sum) return add("damaged", `has checksum ${read.sum}, expected ${sum}`);
    run.found++;
  } catch (thrown) {
    run.signal.throwIfAborted();
    const error = toTidemarkError(thrown);
    add(error.code === "not_found" ? "lost" : "damaged", error.message);
  }
}

async function verifyArchive(run: Run, archive: ArchiveReport, deep: boolean): Promise<void> {
  const { store, name, signal } = run;
  for (const { kind, key, detail } of archive.findings) run.findings.push({ kind, key, detail });
  const unreadable = new Set(archive.findings.filter(({ kind }) => kind === "damaged").map(({ key }) => key));
  for (const { pchannel } of archive.pchannels) {
    let previousSum: string | undefined;
    let expected: bigint | undefined;
    for (const entry of await listLogFiles(store, name, pchannel, signal)) {
      if (entry.sequence !== expected) previousSum = undefined;
      expected = entry.sequence + 1n;
      if (unreadable.has(entry.key)) {
        previousSum = undefined;
        continue;
      }
      if (!deep && !isSampled(entry.key, run)) {
        run.found++;
        previousSum = undefined;
        continue;
      }
      try {
        const facts = await readLogFacts(store, entry, signal);
        const bytes = await store.get(entry.key, undefined, signal);
        run.readObjects++;
        run.readBytes += BigInt(bytes.length);
        const body = checksumOf(bytes.subarray(0, Number(facts.dataBytes)));
        const damage = body !== facts.dataSum
          ? `has data of checksum ${body}, expected ${facts.dataSum}`
          : previousSum !== undefined && facts.previousSum !== "" && facts.previousSum !== previousSum
          ? "follows another file than the one before it: that one was changed"
          : deep
          ? await rowDamage(bytes, entry.key, facts, signal)
          : undefined;
        if (damage === undefined) run.found++;
        else run.findings.push({ kind: "damaged", key: entry.key, detail: damage });
        previousSum = checksumOf(bytes);
      } catch (thrown) {
        signal.throwIfAborted();
        run.findings.push({ kind: "damaged", key: entry.key, detail: toTidemarkError(thrown).message });
        previousSum = undefined;
      }
    }
  }
}

async function rowDamage(
  bytes: Uint8Array,
  key: string,
  { queue, firstOffset, lastOffset }: Pick<LogFileFacts, "queue" | "firstOffset" | "lastOffset">,
  signal: AbortSignal,
): Promise<string | undefined> {
  const { format } = positionsOf(queue);
  let first: Position | undefined;
  let last = -1n;
  for await (const records of readLogBytes(bytes, key, 0n, signal)) {
    for (const { record: { offset } } of records) {
      if (offset <= last) return `has ${format(offset)} after ${format(last)}`;
      first ??= offset;
      last = offset;
    }
  }
  return first === firstOffset && last === lastOffset
    ? undefined
    : `holds ${first === undefined ? "nothing" : `${format(first)} to ${format(last)}`}, expected ${
      format(firstOffset)
    } to ${format(lastOffset)}`;
}

async function decodeAll(run: Run, backup: OpenedBackup): Promise<bigint> {
  const binlogs = backupBinlogs(backup);
  const { signal, name } = run;
  const { segments, catalog } = backupSnapshot(backup);
  const schemas = new Map(catalog.collections.map(({ id, schema }) => [id, schema]));
  let total = 0n;
  for (const segment of segments) {
    const key = `${name}: segment ${segment.id}`;
    try {
      if (segment.class === "rows") {
        let rows = 0n;
        for await (const batch of binlogs.rows(segment, schemas.get(segment.collectionId)!, "all", signal)) {
          rows += BigInt(batch.rows);
        }
        if (rows !== segment.rows && segment.rows !== 0n) {
          run.findings.push({ kind: "damaged", key, detail: `has ${rows} rows, its metadata says ${segment.rows}` });
        }
        total += rows;
      }
      const kept = keptDeltas(backup, segment.id);
      for (const { files } of [...segment.deltalogs, { files: kept }]) {
        for (const file of files) for await (const _ of binlogs.deletes(file, signal));
      }
    } catch (thrown) {
      signal.throwIfAborted();
      const error = toTidemarkError(thrown);
      run.findings.push({ kind: error.code === "not_found" ? "lost" : "damaged", key, detail: error.message });
    }
  }
  return total;
}

/** Delta logs of a segment kept by a manifest. */
function keptDeltas({ manifest }: OpenedBackup, id: bigint): LogFile[] {
  const files = manifest?.segments.find((segment) => segment.id === id)?.files ?? [];
  const nothing = { logId: 0n, entries: 0n, tsFrom: 0n, tsTo: 0n };
  return files.filter(({ path }) => path.includes("/_delta/")).map((file) => ({ ...file, ...nothing }));
}
