/** The segments of a world, whose rows are in memory, or in files of storage V1 where a backup copies them. */
import type { BinlogSource, Collection, FieldFiles, HybridTs, Segment } from "../../../pipeline/model/mod.ts";
import { DataType } from "../../../pipeline/proto/gen/schema_pb.ts";
import { createBinlogSource } from "../../../sources/binlog/mod.ts";
import { createMemoryStore, type MemoryStore } from "../../../stores/mod.ts";
import { envelopeOf, int64Parquet } from "../../sources/binlog/build.ts";
import { NO_FILES } from "../no_files.ts";
import { segmentOf } from "../segment.ts";

export type Row = readonly [key: bigint, value: bigint];
type TimedRow = readonly [HybridTs, ...Row];

export class WorldFiles {
  segments: Segment[] = [];
  readonly #rows = new Map<bigint, readonly TimedRow[]>();
  readonly #store: MemoryStore | undefined;
  readonly binlogs: BinlogSource;

  /** `store`: where its files are. Left out: it has none, only rows. */
  constructor(store?: MemoryStore) {
    this.#store = store;
    this.binlogs = store === undefined
      ? { ...NO_FILES, rows: (segment, _schema, ids) => this.#read(segment, ids), object: ({ path }) => named(path) }
      : createBinlogSource({ store, root: "" });
  }

  rowsOf({ id }: Segment): readonly TimedRow[] {
    return this.#rows.get(id)!;
  }

  /** A segment of these rows. Returns its id. */
  add(
    segment: bigint,
    collection: Collection,
    vchannel: string,
    partitionId: bigint,
    rows: readonly (readonly [HybridTs, ...Row])[],
    changes: Partial<Segment>,
  ): bigint {
    const times = rows.map(([ts]) => ts).sort((a, b) => a < b ? -1 : 1);
    const [tsFrom, tsTo] = [times[0]!, times.at(-1)!];
    this.#rows.set(segment, [...rows]);
    const offset = collection.startOffsets.get(collection.pchannels[collection.vchannels.indexOf(vchannel)]!)!;
    this.segments = [
      ...this.segments,
      segmentOf({
        id: segment,
        collectionId: collection.id,
        partitionId,
        vchannel,
        rows: BigInt(rows.length),
        startPosition: { channel: vchannel, offset, ts: tsFrom },
        binlogs: this.#filesOf(`insert_log/${collection.id}/${partitionId}/${segment}`, rows, { tsFrom, tsTo }),
        ...changes,
      }),
    ];
    return segment;
  }

  #filesOf(folder: string, rows: readonly TimedRow[], times: { tsFrom: HybridTs; tsTo: HybridTs }): FieldFiles[] {
    return [0, 1, 100, 101].map((field) => {
      const path = `${folder}/${field}/1`;
      const at = [0, 0, 1, 2][[0, 1, 100, 101].indexOf(field)]!;
      const bytes = envelopeOf(1, int64Parquet(rows.map((row) => row[at]!)), { fieldId: BigInt(field) });
      this.#store?.objects.set(path, { bytes, modifiedMs: 0 });
      const file = { path, logId: 1n, entries: BigInt(rows.length), ...times, size: BigInt(bytes.length) };
      return { fieldId: BigInt(field), childFields: [], files: [file] };
    });
  }

  async *#read({ id }: Segment, ids: readonly bigint[] | "all"): ReturnType<BinlogSource["rows"]> {
    const rows = this.#rows.get(id)!;
    const column = (i: 1 | 2) => ({
      fieldId: 99n + BigInt(i),
      name: i === 1 ? "id" : "value",
      type: DataType.Int64,
      elementType: DataType.None,
      dim: 0,
      isDynamic: false,
      valid: undefined,
      data: { kind: "int64" as const, values: BigInt64Array.from(rows.map((row) => row[i])) },
    });
    yield {
      firstRow: 0,
      rows: rows.length,
      columns: [column(1), column(2)].filter(({ fieldId }) => ids === "all" || ids.includes(fieldId)),
      timestamps: BigUint64Array.from(rows.map(([ts]) => ts)),
    };
  }
}

/** Is there, and nobody reads it. */
function named(key: string): ReturnType<BinlogSource["object"]> {
  return {
    key,
    store: { ...createMemoryStore(), head: () => Promise.resolve({ key, size: 1n, modifiedMs: 0, etag: "" }) },
  };
}
