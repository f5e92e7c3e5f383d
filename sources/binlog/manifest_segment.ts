/** The files of a segment kept by a manifest, as its manifest names them. */
import { TidemarkError } from "../../pipeline/errors.ts";
import type { LogFile, ObjectStore, Segment } from "../../pipeline/model/mod.ts";
import { damaged, fileError } from "./damage.ts";
import { type Manifest, type ManifestFile, parseManifest } from "./manifest.ts";
import { manifestFile, pointerOf, resolvePath } from "./manifest_paths.ts";
import type { ColumnGroup } from "./row_layout.ts";

/** How a file is found by its path below the storage root. */
export type LocatePath = (path: string) => { readonly store: ObjectStore; readonly key: string };

export interface ManifestFiles {
  /** The manifest itself; undefined where nothing was written yet. */
  readonly manifest: LogFile | undefined;
  readonly groups: readonly ColumnGroup[];
  readonly deltas: readonly LogFile[];
  readonly stats: readonly LogFile[];
  readonly lobs: readonly LogFile[];
}

const NOTHING: ManifestFiles = { manifest: undefined, groups: [], deltas: [], stats: [], lobs: [] };

/**
 * Throws `not_found` for a manifest that is not there, `damaged` for a broken one, `unsupported` for files in another format
 * than Parquet and for deletes by position or equality: all name the segment.
 */
export async function readManifest(segment: Segment, locate: LocatePath, signal?: AbortSignal): Promise<ManifestFiles> {
  const pointer = pointerOf(segment);
  const hasRows = segment.rows > 0n && (segment.state === "flushed" || segment.state === "flushing");
  if (pointer.version <= 0n) {
    if (hasRows) {
      throw damaged(
        `Segment ${segment.id}`,
        `has ${segment.rows} rows and a manifest of version ${pointer.version}: none`,
      );
    }
    return NOTHING;
  }
  const path = manifestFile(pointer);
  const what = `${path} (segment ${segment.id})`;
  let bytes: Uint8Array;
  try {
    const { store, key } = locate(path);
    bytes = await store.get(key, undefined, signal);
  } catch (thrown) {
    signal?.throwIfAborted();
    throw fileError(thrown, what);
  }
  const manifest = parseManifest(bytes, what);
  const named = fileAt(path, BigInt(bytes.length), 0n);
  const files = filesOf(segment, manifest, pointer.base, what);
  if (hasRows && files.groups.every((group) => group.files.length === 0)) {
    throw damaged(what, `names no file of rows where metadata says ${segment.rows}`);
  }
  return { manifest: named, ...files };
}

function filesOf(
  segment: Segment,
  manifest: Manifest,
  base: string,
  what: string,
): Omit<ManifestFiles, "manifest"> {
  const groups = manifest.groups.map((group, index): ColumnGroup => {
    if (group.format !== "parquet") {
      throw new TidemarkError(
        "unsupported",
        `Segment ${segment.id} keeps column group ${index} (fields ${group.columns.join(", ")}) in the format ` +
          `${group.format}; only parquet can be read`,
        { hint: "Set dataNode.storage.format of the source to parquet and compact, or exclude the collection." },
      );
    }
    const fields = group.columns.map((name) => {
      if (/^\d{1,18}$/.test(name)) return BigInt(name);
      throw new TidemarkError("unsupported", `${what} has a column ${name} that is no field id: an external table`, {
        hint: "External collections are not copied; exclude them.",
      });
    });
    return {
      name: `column group ${index}`,
      fields,
      files: group.files.map((file) => rowFile(file, resolvePath(base, "_data", file.path, what), what)),
    };
  });
  if (manifest.predicates > 0) {
    throw new TidemarkError("unsupported", `${what} has deletes by predicate, which are not read`, {
      hint: "It can be copied once the source has compacted them away.",
    });
  }
  const deltas = manifest.deltas.map(({ path, type, entries }) => {
    if (type !== 0n) {
      throw new TidemarkError(
        "unsupported",
        `${what} has deletes of type ${type} (by ${type === 1n ? "position" : "equality"}); only those by key are read`,
      );
    }
    return fileAt(resolvePath(base, "_delta", path, what), 0n, entries);
  });
  return {
    groups,
    deltas,
    stats: manifest.stats.map((path) => fileAt(resolvePath(base, "_stats", path, what), 0n, 0n)),
    lobs: manifest.lobs.map(({ path, size }) => fileAt(resolvePath(base, "lobs", path, what), size, 0n)),
  };
}

function rowFile({ start, end: given, size }: ManifestFile, path: string, what: string): ColumnGroup["files"][number] {
  // Writers that do not count leave both at 0, or the end at -1.
  const end = given === -1n || (start === 0n && given === 0n) ? undefined : given;
  const most = BigInt(Number.MAX_SAFE_INTEGER);
  if (start < 0n || start > most || (end !== undefined && (end < start || end > most))) {
    throw damaged(what, `takes the rows ${start} to ${end} of ${path}`);
  }
  return {
    file: fileAt(path, size, 0n),
    rows: { start: Number(start), end: end === undefined ? undefined : Number(end) },
  };
}

function fileAt(path: string, size: bigint, entries: bigint): LogFile {
  const last = path.slice(path.lastIndexOf("/") + 1);
  const logId = /^\d{1,19}$/.test(last) ? BigInt(last) : 0n;
  return { path, logId, entries, tsFrom: 0n, tsTo: 0n, size };
}
