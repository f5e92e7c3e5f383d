/** The files of a world's segments, of storage V1 or V2 by their ids, and of its deletes, where a cluster puts them. */
import type { ColumnBatch, HybridTs, Segment } from "../../../pipeline/model/mod.ts";
import { DataType } from "../../../pipeline/proto/gen/schema_pb.ts";
import { columnGroups } from "../../../sinks/backup/storage_v2/column_groups.ts";
import { encodeRows } from "../../../sinks/backup/storage_v2/encode.ts";
import type { Row } from "./files.ts";
import type { Thing } from "./thing.ts";
import type { DeleteSegment, TimedKey, Upkeep } from "./upkeep.ts";
import type { World } from "./world.ts";
import { envelopeOf, int64Parquet, stringParquet } from "../../sources/binlog/build.ts";
import { type KeyedFile, LOG_ID, type WorldFilesKeyed } from "./keys.ts";

type TimedRow = readonly [HybridTs, ...Row];
type Schema = Thing["collection"]["schema"];

export class WorldObjects implements WorldFilesKeyed {
  readonly #world: World;
  readonly #upkeep: Upkeep;
  readonly #binlogs = new Map<bigint, readonly KeyedFile[]>();
  readonly #deltas = new Map<bigint, { readonly of: readonly TimedKey[]; readonly file: KeyedFile }>();

  constructor(world: World, upkeep: Upkeep) {
    this.#world = world;
    this.#upkeep = upkeep;
  }

  binlogs({ id }: Segment): readonly KeyedFile[] {
    return this.#binlogs.get(id)!;
  }

  delta(segment: bigint): KeyedFile | undefined {
    return this.#deltas.get(segment)?.file;
  }

  get deletes(): readonly DeleteSegment[] {
    return [...this.#upkeep.deletes.values()];
  }

  readonly storageVersion = ({ id }: Segment): bigint => id % 2n === 0n ? 2n : 0n;

  /** Makes what is not there yet: key in the bucket and content. */
  async *make(): AsyncGenerator<readonly [key: string, content: Uint8Array]> {
    for (const segment of this.#world.files.segments) {
      const { collectionId, partitionId, id } = segment;
      const thing = this.#world.things.get(collectionId);
      const place = `${collectionId}/${partitionId}/${id}`;
      if (thing !== undefined && !this.#binlogs.has(id)) {
        const rows = this.#world.files.rowsOf(segment);
        const made = this.storageVersion(segment) === 2n ? await packed(thing.collection.schema, rows) : plain(rows);
        this.#binlogs.set(id, made.map(({ file }) => file));
        for (const { file, bytes } of made) {
          yield [`files/insert_log/${place}/${file.group}/${LOG_ID}`, bytes];
        }
      }
      const deltas = this.#upkeep.deltas.get(id);
      if (deltas !== undefined) yield* this.#delta(id, place, deltas);
    }
    for (const { id, collection, partition, deletes } of this.deletes) {
      yield* this.#delta(id, `${collection}/${partition}/${id}`, deletes);
    }
  }

  *#delta(id: bigint, place: string, deletes: readonly TimedKey[]): Generator<readonly [string, Uint8Array]> {
    if (this.#deltas.get(id)?.of === deletes) return;
    const bytes = envelopeOf(2, stringParquet(deletes.map(([ts, key]) => `{"pk":${key},"ts":${ts},"pkType":5}`)));
    const file = { group: 100n, fields: [], rows: deletes.length, times: timesOf(deletes), bytes: bytes.length };
    this.#deltas.set(id, { of: deletes, file });
    yield [`files/delta_log/${place}/${LOG_ID}`, bytes];
  }
}

interface Made {
  readonly file: KeyedFile;
  readonly bytes: Uint8Array;
}

function timesOf(rows: readonly (readonly [HybridTs, ...unknown[]])[]): KeyedFile["times"] {
  const times = rows.map(([ts]) => ts).sort((a, b) => a < b ? -1 : a > b ? 1 : 0);
  return { from: times[0]!, to: times.at(-1)! };
}

/** Storage V1: a file for each field. Row ids are the times. */
function plain(rows: readonly TimedRow[]): Made[] {
  return ([[0n, 0], [1n, 0], [100n, 1], [101n, 2]] as const).map(([group, at]) => {
    const bytes = envelopeOf(1, int64Parquet(rows.map((row) => row[at])), { fieldId: group });
    return { file: { group, fields: [], rows: rows.length, times: timesOf(rows), bytes: bytes.length }, bytes };
  });
}

/** Storage V2: a file for each group of columns, with the columns that the rows were written with. */
async function packed(schema: Schema, rows: readonly TimedRow[]): Promise<Made[]> {
  const groups = columnGroups({ ...schema, fields: schema.fields.slice(0, 2) });
  const column = (fieldId: bigint, name: string, at: 0 | 1 | 2) => ({
    fieldId,
    name,
    type: DataType.Int64,
    elementType: DataType.None,
    dim: 0,
    isDynamic: false,
    valid: undefined,
    data: { kind: "int64" as const, values: BigInt64Array.from(rows.map((row) => row[at])) },
  });
  const batch: ColumnBatch = {
    firstRow: 0,
    rows: rows.length,
    columns: [column(0n, "RowID", 0), column(100n, "id", 1), column(101n, "value", 2)],
    timestamps: BigUint64Array.from(rows.map(([ts]) => ts)),
  };
  const one = async function* () {
    yield await Promise.resolve(batch);
  };
  const [set] = await Array.fromAsync(encodeRows(groups, one(), { createdBy: "test" }));
  return groups.map(({ id, columns }, i) => {
    const bytes = set!.files[i]!;
    const fields = columns.map(({ fieldId }) => fieldId);
    return { file: { group: id, fields, rows: rows.length, times: timesOf(rows), bytes: bytes.length }, bytes };
  });
}
