/**
 * A manifest of storage V3: which files hold a segment's rows and deletes. Three forms exist, told by their first bytes:
 *
 *     Obj 01           an Avro object container with one record, by the schema that it carries (3.0, main)
 *     AC B1 CA D4 09   the number 0x4D494C56 as a varint, a version (1 to 3), column groups, delta logs, stats; what follows
 *                      (an index list) is not needed
 *     anything else    column groups and a map, no deletes (2.6 with the option)
 */
import { TidemarkError } from "../../pipeline/errors.ts";
import { AVRO_MAGIC, AvroReader, type AvroValue, readAvroFile, UnknownCodec } from "./avro.ts";
import { damaged } from "./damage.ts";

/** Rows [start, end) of a data file; `end` undefined: to its last row. */
export interface ManifestFile {
  readonly path: string;
  readonly start: bigint;
  readonly end: bigint | undefined;
  /** Bytes, where the manifest says. */
  readonly size: bigint;
}

export interface ManifestGroup {
  /** Field ids in decimal; of an external table, foreign names. */
  readonly columns: readonly string[];
  readonly files: readonly ManifestFile[];
  /** `parquet`, `vortex`, … */
  readonly format: string;
}

export interface ManifestDelta {
  readonly path: string;
  /** 0: key and timestamp, the only one that Milvus writes. */
  readonly type: bigint;
  readonly entries: bigint;
}

export interface ManifestLob {
  readonly path: string;
  readonly fieldId: bigint;
  readonly size: bigint;
}

/** Paths as they are written: see `manifest_paths.ts`. */
export interface Manifest {
  readonly groups: readonly ManifestGroup[];
  readonly deltas: readonly ManifestDelta[];
  /** Every path under `stats`, in order. */
  readonly stats: readonly string[];
  readonly lobs: readonly ManifestLob[];
  /** Files of deletes by predicate, which are not read. */
  readonly predicates: number;
}

const RAW_MAGIC = [0xac, 0xb1, 0xca, 0xd4, 0x09] as const;

/** Throws `damaged` for bytes that are no manifest, `unsupported` for a codec that is not read. */
export function parseManifest(bytes: Uint8Array, what: string): Manifest {
  try {
    if (AVRO_MAGIC.every((byte, i) => bytes[i] === byte)) return fromContainer(bytes);
    const isRaw = RAW_MAGIC.every((byte, i) => bytes[i] === byte);
    return isRaw ? fromRaw(new AvroReader(bytes.subarray(RAW_MAGIC.length))) : fromOldest(new AvroReader(bytes));
  } catch (cause) {
    if (cause instanceof UnknownCodec) {
      throw new TidemarkError("unsupported", `${what} is packed with ${cause.message}; known are null and deflate`);
    }
    throw damaged(what, `is no manifest: ${cause instanceof Error ? cause.message : String(cause)}`, cause);
  }
}

function fromContainer(bytes: Uint8Array): Manifest {
  const records = readAvroFile(bytes);
  if (records.length !== 1) throw new Error(`it has ${records.length} records instead of one`);
  const root = recordOf(records[0]!);
  return {
    groups: listOf(root, "column_groups").map((group): ManifestGroup => ({
      columns: listOf(group, "columns").map((column) => textOf(column)),
      files: listOf(group, "files").map((file): ManifestFile => ({
        path: text(file, "path"),
        start: long(file, "start_index"),
        end: long(file, "end_index"),
        size: sizeOf(recordOf(file).get("properties")),
      })),
      format: text(group, "format"),
    })),
    deltas: listOf(root, "delta_logs").map((delta): ManifestDelta => ({
      path: text(delta, "path"),
      type: long(delta, "type"),
      entries: long(delta, "num_entries"),
    })),
    stats: [...mapOf(root.get("stats")).values()].flatMap((entry) =>
      (Array.isArray(entry) ? entry : listOf(entry, "paths")).map(textOf)
    ),
    lobs: listOf(root, "lob_files").map((lob): ManifestLob => ({
      path: text(lob, "path"),
      fieldId: long(lob, "field_id"),
      size: long(lob, "file_size_bytes"),
    })),
    predicates: listOf(root, "predicate_delta_logs").length,
  };
}

function sizeOf(properties: AvroValue | undefined): bigint {
  const size = properties instanceof Map ? properties.get("file_size") : undefined;
  return typeof size === "string" && /^\d{1,18}$/.test(size) ? BigInt(size) : 0n;
}

/** Missing fields are empty: older writers do not have them. */
function listOf(record: AvroValue | ReadonlyMap<string, AvroValue>, name: string): AvroValue[] {
  const value = recordOf(record).get(name);
  if (value === undefined || value === null) return [];
  if (!Array.isArray(value)) throw new Error(`${name} is no list`);
  return value;
}

function mapOf(value: AvroValue | undefined): ReadonlyMap<string, AvroValue> {
  return value === undefined || value === null ? new Map() : recordOf(value);
}

function recordOf(value: AvroValue | ReadonlyMap<string, AvroValue>): ReadonlyMap<string, AvroValue> {
  if (!(value instanceof Map)) throw new Error("a record is missing");
  return value;
}

function text(record: AvroValue, name: string): string {
  return textOf(recordOf(record).get(name) ?? null);
}

function textOf(value: AvroValue): string {
  if (typeof value !== "string") throw new Error("a text is missing");
  return value;
}

function long(record: AvroValue, name: string): bigint {
  const value = recordOf(record).get(name);
  if (typeof value !== "bigint") throw new Error(`the number ${name} is missing`);
  return value;
}

function fromRaw(reader: AvroReader): Manifest {
  const version = reader.long();
  if (version < 1n || version > 3n) throw new Error(`its version is ${version}; known are 1 to 3`);
  const groups = reader.array((): ManifestGroup => ({
    columns: reader.array(() => reader.string()),
    files: reader.array((): ManifestFile => {
      const file = { path: reader.string(), start: reader.long(), end: reader.long(), size: 0n };
      reader.bytes();
      return file;
    }),
    format: reader.string(),
  }));
  const deltas = reader.array((): ManifestDelta => ({
    path: reader.string(),
    type: reader.long(),
    entries: reader.long(),
  }));
  const stats = [
    ...reader.map(() => {
      const paths = reader.array(() => reader.string());
      if (version >= 3n) reader.map(() => reader.string());
      return paths;
    }).values(),
  ].flat();
  return { groups, deltas, stats, lobs: [], predicates: 0 };
}

function fromOldest(reader: AvroReader): Manifest {
  const groups = reader.array((): ManifestGroup => ({
    columns: reader.array(() => reader.string()),
    files: reader.array((): ManifestFile => {
      const path = reader.string();
      const start = reader.boolean() ? reader.long() : 0n;
      const end = reader.boolean() ? reader.long() : undefined;
      return { path, start, end, size: 0n };
    }),
    format: reader.string(),
  }));
  reader.map(() => reader.string());
  if (!reader.done) throw new Error("it goes on where it should end");
  return { groups, deltas: [], stats: [], lobs: [], predicates: 0 };
}
