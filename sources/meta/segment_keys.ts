/** Segments and the keys that name their files, gathered key by key. */
import type { FieldFiles, PositionForms } from "../../pipeline/model/mod.ts";
import { SegmentInfoSchema } from "../../pipeline/proto/gen/data_coord_pb.ts";
import { decodeValue, mustMatch } from "./decode.ts";
import { decodeFieldBinlog } from "./field_binlog.ts";
import { damagedKey, idOf, isTombstone, partsOf } from "./keys.ts";
import { folderOf } from "./segment_files.ts";
import { type SegmentRecord, SegmentRecords } from "./segment_record.ts";
import type { LogKind, SegmentParts } from "./segment_parts.ts";

const NONE: readonly FieldFiles[] = [];
/** `<collection>/<partition>/<segment>/predicate`: releases after 3.0.0. */
const PREDICATES = "datacoord-meta/predicate-deltalog/";

export class SegmentKeys {
  readonly #segments = new Map<bigint, SegmentParts>();
  readonly #records: SegmentRecords;

  constructor(positions: PositionForms) {
    this.#records = new SegmentRecords(positions);
  }

  /**
   * Takes one key of `datacoord-meta/`; others are left alone. Throws `damaged` for a value that is not what its key says.
   */
  apply(key: string, value: Uint8Array): void {
    if (key.startsWith("datacoord-meta/s/")) return this.#applyInfo(key, value);
    if (key.startsWith(PREDICATES)) {
      const [, , segment] = partsOf(key, PREDICATES);
      this.#of(idOf(segment, key)).predicates = value.length > 0 && !isTombstone(value);
      return;
    }
    const kind = kindOf(key);
    if (kind === undefined) return;
    const [collection, partition, segment, field] = partsOf(key, `datacoord-meta/${kind}/`);
    const parts = this.#of(idOf(segment, key));
    const fieldId = idOf(field, key);
    // A snapshot may hold the list as it was.
    if (parts.logs[kind].some((files) => files.fieldId === fieldId)) {
      parts.logs[kind] = parts.logs[kind].filter((files) => files.fieldId !== fieldId);
      if (parts.nameless.includes(key)) parts.nameless = parts.nameless.filter((other) => other !== key);
    }
    if (isTombstone(value)) return;
    // A deltalog key of a segment without deletes is empty.
    if (value.length === 0 && kind !== "deltalog") throw damagedKey(key, "its value is empty");
    if (value.length === 0) return;
    const folder = folderOf(kind, idOf(collection, key), idOf(partition, key), idOf(segment, key), fieldId);
    const { nameless, files } = decodeFieldBinlog(value, key, folder);
    mustMatch(files.fieldId, fieldId, "field", key);
    if (nameless) parts.nameless = [...parts.nameless, key];
    parts.logs[kind] = [...parts.logs[kind], files];
  }

  /** As if no key below this prefix had been there. */
  forget(prefix: string): void {
    const kind = kindOf(prefix);
    for (const parts of this.#segments.values()) {
      if (prefix === PREDICATES) parts.predicates = false;
      else if (kind === undefined) parts.info = undefined;
      else {
        parts.logs[kind] = NONE;
        if (parts.nameless.length > 0) parts.nameless = parts.nameless.filter((key) => !key.startsWith(prefix));
      }
    }
  }

  /** Leaves out what no key is left of. */
  tidy(): void {
    for (const [id, { info, logs, predicates }] of this.#segments) {
      if (info === undefined && !predicates && Object.values(logs).every(({ length }) => length === 0)) {
        this.#segments.delete(id);
      }
    }
  }

  /** Segments by id. Keys of files whose segment is not there (being written, being collected) are not among them. */
  *segments(): Generator<SegmentParts & { readonly info: SegmentRecord }> {
    for (const [, parts] of [...this.#segments].sort(([a], [b]) => a < b ? -1 : 1)) {
      if (hasInfo(parts)) yield parts;
    }
  }

  #applyInfo(key: string, value: Uint8Array): void {
    const [collection, partition, segment] = partsOf(key, "datacoord-meta/s/");
    const id = idOf(segment, key);
    if (isTombstone(value)) {
      this.#of(id).info = undefined;
      return;
    }
    const info = decodeValue(SegmentInfoSchema, value, key);
    mustMatch(info.ID, id, "segment", key);
    mustMatch(info.collectionID, idOf(collection, key), "collection", key);
    mustMatch(info.partitionID, idOf(partition, key), "partition", key);
    this.#of(id).info = this.#records.of(info);
  }

  #of(id: bigint): SegmentParts {
    let parts = this.#segments.get(id);
    if (parts === undefined) {
      const logs = { binlog: NONE, deltalog: NONE, statslog: NONE, bm25log: NONE };
      parts = { info: undefined, logs, nameless: [], predicates: false };
      this.#segments.set(id, parts);
    }
    return parts;
  }
}

function hasInfo(parts: SegmentParts): parts is SegmentParts & { readonly info: SegmentRecord } {
  return parts.info !== undefined;
}

function kindOf(key: string): LogKind | undefined {
  if (key.startsWith("datacoord-meta/binlog/")) return "binlog";
  if (key.startsWith("datacoord-meta/deltalog/")) return "deltalog";
  if (key.startsWith("datacoord-meta/statslog/")) return "statslog";
  if (key.startsWith("datacoord-meta/bm25log/")) return "bm25log";
  return undefined;
}
