/**
 * The validated lister. Which insert files are data is metadata's word alone: the listing confirms that they exist with
 * their size, and what else lies there is reported and never read. Delta files are the opposite: every one that was ever
 * written holds deletes that really happened, and metadata forgets some, so all that are listed count.
 */
import type { FieldFiles, FileFinding, FileReport, LogFile, ObjectInfo, Segment } from "../../pipeline/model/mod.ts";
import { edgeSource, openParquet } from "../../stores/mod.ts";
import { TidemarkError } from "../../pipeline/errors.ts";
import { encryptedSegments, type SegmentFile } from "./encrypted.ts";
import { isEnvelope, readEnvelope } from "./envelope.ts";
import { inParallel, listFiles, type Listing, type ListingPlace } from "./listing.ts";
import { manifestPathOf } from "./manifest_paths.ts";
import { type ManifestFiles, readManifest } from "./manifest_segment.ts";
import { parseLogPath, segmentIdIn } from "./path.ts";

/** Files without a name in metadata are opened, to say whether they are whole, up to this number. */
const INSPECTED = 200;
/** Files opened or asked for at once. */
const AT_ONCE = 32;
/** Of a larger file only both ends are read, each so long: headers are in front, the footer is at the end. */
const EDGE_BYTES = 64 << 10;

interface Named {
  readonly file: LogFile;
  readonly segment: Segment;
}

/**
 * Compares the folders of a collection with what `segments` (all of the collection's, dropped ones too) name; of insert files
 * with what those in `only` name.
 */
export async function verifyFiles(
  options: ListingPlace,
  collectionId: bigint,
  segments: readonly Segment[],
  only: ReadonlySet<bigint> | undefined,
  signal: AbortSignal,
): Promise<FileReport> {
  const own = segments.filter((segment) => segment.collectionId === collectionId);
  const listing = await listFiles(options, collectionId, own, only, signal);
  const { inserts, deltas } = listing;
  const findings: FileFinding[] = [];
  const finding = (kind: FileFinding["kind"], path: string, segmentId: bigint, bytes: bigint, detail: string) =>
    findings.push({ kind, path, collectionId, segmentId, detail, bytes });

  const manifests = await readManifests(options, own, finding, signal);
  const confirmed = await confirm(options, own, manifests, listing, finding, signal);
  const listed = ({ path }: LogFile) => inserts.get(path) ?? deltas.get(path);
  await reportDirty(options, own, listing, finding, signal);
  for (
    const { segment, path } of await encryptedSegments(options, looked(listing, manifests), listing.inserts, signal)
  ) {
    finding("unreadable", path, segment.id, 0n, `Segment ${segment.id} is encrypted by the source's cipher plugin`);
  }
  const deltaFiles = deltasOf(own, manifests, deltas, finding);
  const kept = new Map([...manifests].map(([id, manifest]) => [id, allFilesOf(manifest, inserts)]));
  return { findings, deltaFiles, listed, ...confirmed, ...(kept.size === 0 ? {} : { kept }) };
}

type Report = (kind: FileFinding["kind"], path: string, segmentId: bigint, bytes: bigint, detail: string) => void;

/** Of live segments kept by one, by segment id. */
type Manifests = ReadonlyMap<bigint, ManifestFiles>;

async function readManifests(
  options: ListingPlace,
  segments: readonly Segment[],
  report: Report,
  signal: AbortSignal,
): Promise<Manifests> {
  const manifests = new Map<bigint, ManifestFiles>();
  const locate = (path: string) => ({ store: options.store, key: options.keyOf(path) });
  await inParallel(
    segments.filter(({ class: read, manifestPath }) => read === "rows" && manifestPath !== "").map(
      (segment) => async () => {
        try {
          manifests.set(segment.id, await readManifest(segment, locate, signal));
        } catch (error) {
          if (!(error instanceof TidemarkError)) throw error;
          const path = manifestPathOf(segment);
          if (error.code === "not_found") {
            const detail = `Segment ${segment.id} (${segment.state}) names it, the store does not have it`;
            report("missing", path, segment.id, 0n, detail);
          } else if (error.code === "unsupported" || error.code === "damaged") {
            report("unreadable", path, segment.id, 0n, error.message);
          } else throw error;
        }
      },
    ),
    AT_ONCE,
  );
  return manifests;
}

interface Checked extends Named {
  readonly insert: boolean;
  info: ObjectInfo | undefined;
  fits: boolean;
}

/** Every file that a live segment names, and that was looked for: there, and of the right size? */
async function confirm(
  options: ListingPlace,
  segments: readonly Segment[],
  manifests: Manifests,
  { inserts, deltas, segments: looked }: Listing,
  report: Report,
  signal: AbortSignal,
): Promise<{ insertFiles: number; insertBytes: bigint }> {
  let insertFiles = 0;
  let insertBytes = 0n;
  const lookedFor = new Set(looked);
  const checks: Checked[] = [];
  /** What the listing alone does not say. */
  const questions: (() => Promise<void>)[] = [];
  const count = ({ size }: ObjectInfo) => {
    insertFiles++;
    insertBytes += size;
  };
  for (const segment of segments) {
    if (segment.class === "none") continue;
    const byManifest = segment.manifestPath !== "";
    const insertNames = !lookedFor.has(segment)
      ? []
      : byManifest
      ? dataFilesOf(manifests.get(segment.id))
      : segment.class === "rows"
      ? filesOf(segment.binlogs)
      : [];
    const deltaNames = byManifest ? manifests.get(segment.id)?.deltas ?? [] : filesOf(segment.deltalogs);
    const named: [LogFile, ReadonlyMap<string, ObjectInfo>][] = [
      ...insertNames.map((file): [LogFile, ReadonlyMap<string, ObjectInfo>] => [file, inserts]),
      ...deltaNames.map((file): [LogFile, ReadonlyMap<string, ObjectInfo>] => [file, deltas]),
    ];
    // Compactions of 2.3, and 2.4 in general, store the size in memory as log_size of insert logs. Where no insert file
    // of a segment has the size that metadata says, it is not a file's size; a file is then judged by being whole.
    const sizeHolds = ([file, listed]: readonly [LogFile, ReadonlyMap<string, ObjectInfo>]) =>
      file.size > 0n && listed.get(file.path)?.size === file.size;
    const insertSizesCount = named.some((item) => item[1] === inserts && sizeHolds(item));
    const deltaSizesCount = named.some((item) => item[1] === deltas && sizeHolds(item));
    for (const [file, listed] of named) {
      const insert = listed === inserts;
      const info = listed.get(file.path);
      if (info !== undefined && sizeFits(file, info)) {
        if (insert) count(info);
        continue;
      }
      const check: Checked = { segment, file, insert, info, fits: false };
      checks.push(check);
      questions.push(async () => {
        check.info ??= await options.store.head(options.keyOf(file.path), signal);
        if (check.info === undefined) return;
        const sizesCount = insert ? insertSizesCount : deltaSizesCount;
        check.fits = sizeFits(file, check.info) || (!sizesCount && await isWhole(options, check.info, signal));
      });
    }
  }
  await inParallel(questions, AT_ONCE);
  for (const { segment, file, insert, info, fits } of checks) {
    if (info === undefined) {
      report(
        "missing",
        file.path,
        segment.id,
        file.size,
        `Segment ${segment.id} (${segment.state}) names it, the store does not have it`,
      );
      continue;
    }
    if (insert) count(info);
    if (fits) continue;
    report(
      "wrong_size",
      file.path,
      segment.id,
      info.size,
      `Metadata of segment ${segment.id} says ${file.size} bytes, the store has ${info.size}`,
    );
  }
  return { insertFiles, insertBytes };
}

function looked({ segments }: Listing, manifests: Manifests): SegmentFile[] {
  return segments.flatMap((segment) => {
    if (segment.class !== "rows") return [];
    const byManifest = segment.manifestPath !== "";
    const file = byManifest ? dataFilesOf(manifests.get(segment.id))[0] : filesOf(segment.binlogs)[0];
    return file === undefined ? [] : [{ segment, path: file.path }];
  });
}

/** Files of rows, each once: two groups may take pieces of the same. */
function dataFilesOf(manifest: ManifestFiles | undefined): LogFile[] {
  const files = new Map<string, LogFile>();
  for (const group of manifest?.groups ?? []) for (const { file } of group.files) files.set(file.path, file);
  return [...files.values()];
}

/** Statistics are made anew where they are wanted: one that is gone does not keep a segment from being copied. */
function allFilesOf(manifest: ManifestFiles, listed: ReadonlyMap<string, ObjectInfo>): LogFile[] {
  const { manifest: own, deltas, stats, lobs } = manifest;
  const there = stats.filter(({ path }) => listed.has(path));
  return [...own === undefined ? [] : [own], ...dataFilesOf(manifest), ...deltas, ...there, ...lobs];
}

function sizeFits(file: LogFile, { size }: ObjectInfo): boolean {
  return file.size === size || (file.size === 0n && size > 0n);
}

/** Insert files that no segment names. */
async function reportDirty(
  options: ListingPlace,
  segments: readonly Segment[],
  { inserts, segments: looked }: Listing,
  report: Report,
  signal: AbortSignal,
): Promise<void> {
  const byId = new Map(segments.map((segment) => [segment.id, segment]));
  const named = namesOf(looked, (segment) => segment.binlogs);
  const unnamed = [...inserts].filter(([path]) => {
    // The files of a manifest (V3), and the LOBs that its partition shares, are named by the manifest, not by metadata.
    const byManifest = byId.get(segmentIdIn(path))?.manifestPath || path.split("/")[3] === "lobs";
    return !named.has(path) && !byManifest && parseLogPath(path)?.kind !== "delta";
  });
  const broken = new Set<string>();
  await inParallel(
    unnamed.slice(0, INSPECTED).map(([path, info]) => async () => {
      if (!await isWhole(options, info, signal)) broken.add(path);
    }),
    AT_ONCE,
  );
  for (const [path, info] of unnamed) {
    const segmentId = segmentIdIn(path);
    const segment = byId.get(segmentId);
    const whole = broken.has(path) ? ", and it is not whole: a half upload" : "";
    const since = `, written ${new Date(info.modifiedMs).toISOString()}`;
    const why = parseLogPath(path) === undefined
      ? "Not a path that Milvus gives to an insert log"
      : segment === undefined
      ? `Segment ${segmentId} is not in the metadata`
      : segment.class === "rows"
      ? `Segment ${segmentId} is live but does not name it`
      : `Segment ${segmentId} is ${segment.state} and does not name it`;
    report("dirty_insert", path, segmentId, info.size, why + since + whole);
  }
}

function deltasOf(
  segments: readonly Segment[],
  manifests: Manifests,
  deltas: ReadonlyMap<string, ObjectInfo>,
  report: Report,
): LogFile[] {
  const byId = new Map(segments.map((segment) => [segment.id, segment]));
  const named = new Map(namesOf(segments, (segment) => segment.manifestPath === "" ? segment.deltalogs : []));
  for (const [id, manifest] of manifests) {
    for (const file of manifest.deltas) named.set(file.path, { file, segment: byId.get(id)! });
  }
  const files: LogFile[] = [];
  for (const [path, info] of deltas) {
    const parsed = parseLogPath(path);
    const segmentId = segmentIdIn(path);
    const name = named.get(path);
    if (parsed === undefined) {
      report(
        "unnamed_delta",
        path,
        segmentId,
        info.size,
        "Not a path that Milvus gives to a delta log; it is not read",
      );
      continue;
    }
    const segment = byId.get(segmentId);
    // What a manifest names is known only of live segments.
    const unknown = segment !== undefined && segment.manifestPath !== "" && !manifests.has(segmentId);
    if (name === undefined && !unknown) {
      const whose = segment === undefined
        ? `segment ${segmentId}, which is not in the metadata`
        : `segment ${segmentId} (${segment.state})`;
      report(
        "unnamed_delta",
        path,
        segmentId,
        info.size,
        `A delta log of ${whose}, named by none; its deletes happened and are read`,
      );
    }
    files.push({
      path,
      logId: parsed.logId,
      entries: name?.file.entries ?? 0n,
      tsFrom: name?.file.tsFrom ?? 0n,
      tsTo: name?.file.tsTo ?? 0n,
      size: info.size,
    });
  }
  return files;
}

function namesOf(
  segments: readonly Segment[],
  pick: (segment: Segment) => readonly FieldFiles[],
): ReadonlyMap<string, Named> {
  const named = new Map<string, Named>();
  for (const segment of segments) for (const file of filesOf(pick(segment))) named.set(file.path, { file, segment });
  return named;
}

function filesOf(groups: readonly FieldFiles[]): LogFile[] {
  return groups.flatMap((group) => group.files);
}

/** True if a file ends where its own headers say. Only headers and footer are read, in one or two requests. */
async function isWhole(options: ListingPlace, info: ObjectInfo, signal: AbortSignal): Promise<boolean> {
  try {
    const source = await edgeSource(options.store, info.key, Number(info.size), EDGE_BYTES, { signal });
    if (source.size < 12) return false;
    if (!isEnvelope(await source.read(0, 4))) {
      await openParquet(source, info.key);
      return true;
    }
    for (const { payload } of (await readEnvelope(source, info.key)).events) await openParquet(payload, info.key);
    return true;
  } catch (error) {
    // Gone since it was listed, or encrypted: nothing to say against it.
    if (error instanceof TidemarkError && (error.code === "unsupported" || error.code === "not_found")) return true;
    if (error instanceof TidemarkError && error.code === "damaged") return false;
    throw error;
  }
}
