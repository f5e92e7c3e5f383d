/** Delta logs in all their forms: text or JSON cells, two Parquet columns in an envelope, bare Parquet. */
import type { DeleteMark, Keys } from "../../pipeline/model/mod.ts";
import { TidemarkError } from "../../pipeline/errors.ts";
import { type ByteSource, openParquet, type ParquetPage, type ParquetTable } from "../../stores/mod.ts";
import { damaged } from "./damage.ts";
import { type DeltaCell, parseDeltaCell } from "./delta_cell.ts";
import { isEnvelope, readEnvelope } from "./envelope.ts";
import { PageCursor } from "./page_cursor.ts";

/** At most this many deletes in one mark. */
const MARKS_AT_ONCE = 65_536;

/**
 * Deletes of one file in file order. The form is told by the bytes, never by the storage version: segments of storage V2
 * still have enveloped delta logs.
 * `what` names file and segment; `partitionId` (-1: all) goes into the marks. Throws `damaged`, `unsupported`.
 */
export async function* readDeltaFile(
  source: ByteSource,
  what: string,
  partitionId: bigint,
  signal?: AbortSignal,
): AsyncIterable<DeleteMark> {
  if (source.size < 4) throw damaged(what, `is ${source.size} bytes long, too short for a delta log`);
  const magic = await source.read(0, 4);
  if (!isEnvelope(magic)) {
    if (String.fromCharCode(...magic) !== "PAR1") throw damaged(what, "is neither a binlog nor a Parquet file");
    yield* columnMarks(await openParquet(source, what), what, partitionId, signal);
    return;
  }
  const { descriptor, events } = await readEnvelope(source, what);
  for (const { payload } of events) {
    const table = await openParquet(payload, what);
    refusePredicates(table, what);
    if (descriptor.extras.version === "MULTI_FIELD" || table.columns.length > 1) {
      yield* columnMarks(table, what, partitionId, signal);
    } else {
      yield* cellMarks(table, what, partitionId, signal);
    }
  }
}

/** Releases after 3.0.0 write deletes by predicate into files of their own, whose columns are easily taken for keys and times. */
function refusePredicates({ columns }: ParquetTable, what: string): void {
  if (!columns.some(({ name }) => name === "serialized_expr_plan")) return;
  throw new TidemarkError("unsupported", `${what} holds deletes by predicate, which are not read`, {
    hint: "It can be copied once the source has compacted them away and has collected the file.",
  });
}

/** One column, a text in each row. */
async function* cellMarks(
  table: ParquetTable,
  what: string,
  partitionId: bigint,
  signal: AbortSignal | undefined,
): AsyncIterable<DeleteMark> {
  const column = table.columns[0];
  if (column === undefined) throw damaged(what, "has no column");
  let row = 0;
  for await (const page of column.pages()) {
    signal?.throwIfAborted();
    if (page.values.kind !== "bytes") throw damaged(what, `holds ${page.values.kind} values where texts were expected`);
    const texts = page.values.values;
    for (let start = 0; start < page.rows; start += MARKS_AT_ONCE) {
      const cells: DeltaCell[] = [];
      const end = Math.min(page.rows, start + MARKS_AT_ONCE);
      for (let i = start; i < end; i++) {
        try {
          cells.push(parseDeltaCell(texts[i]!));
        } catch (cause) {
          throw damaged(what, `has a delete that cannot be read in row ${row + i}: ${(cause as Error).message}`, cause);
        }
      }
      yield markOf(cells, what, partitionId);
    }
    row += page.rows;
  }
}

function markOf(cells: readonly DeltaCell[], what: string, partitionId: bigint): DeleteMark {
  const timestamps = new BigUint64Array(cells.length);
  const varchar = typeof cells[0]?.pk === "string";
  const numbers = new BigInt64Array(varchar ? 0 : cells.length);
  const strings: string[] = [];
  cells.forEach(({ pk, ts }, i) => {
    timestamps[i] = ts;
    if ((typeof pk === "string") !== varchar) throw damaged(what, "mixes integer and string keys");
    if (typeof pk === "string") strings.push(pk);
    else numbers[i] = pk;
  });
  const keys: Keys = varchar ? { kind: "varchar", values: strings } : { kind: "int64", values: numbers };
  return { partitionId, keys, timestamps };
}

/** Two columns: key and timestamp, by field id (0, 1) where there are any, by place otherwise. */
async function* columnMarks(
  table: ParquetTable,
  what: string,
  partitionId: bigint,
  signal: AbortSignal | undefined,
): AsyncIterable<DeleteMark> {
  const pk = table.columns.find((column) => column.fieldId === 0n) ?? table.columns[0];
  const ts = table.columns.find((column) => column.fieldId === 1n) ?? table.columns[1];
  if (pk === undefined || ts === undefined || pk === ts) throw damaged(what, "lacks a key or a timestamp column");
  const keys = new PageCursor(pk.pages());
  const stamps = new PageCursor(ts.pages());
  for (let done = 0; done < table.rows;) {
    signal?.throwIfAborted();
    const rows = Math.min(MARKS_AT_ONCE, table.rows - done);
    if (await keys.fill(rows) < rows || await stamps.fill(rows) < rows) throw damaged(what, "ends before its last row");
    const times = stamps.take(rows);
    if (times.values.kind !== "int64" || times.valid !== undefined) {
      throw damaged(what, "has timestamps that are no integers");
    }
    const { buffer, byteOffset, length } = times.values.values;
    yield {
      partitionId,
      keys: keysOf(keys.take(rows), what),
      timestamps: new BigUint64Array(buffer, byteOffset, length),
    };
    done += rows;
  }
}

function keysOf(page: ParquetPage, what: string): Keys {
  if (page.valid !== undefined) throw damaged(what, "has a delete without a key");
  if (page.values.kind === "int64") return { kind: "int64", values: page.values.values };
  if (page.values.kind !== "bytes") throw damaged(what, `has keys of kind ${page.values.kind}`);
  const decoder = new TextDecoder("utf-8", { fatal: true });
  try {
    return { kind: "varchar", values: page.values.values.map((bytes) => decoder.decode(bytes)) };
  } catch (cause) {
    throw damaged(what, "has a key that is no UTF-8", cause);
  }
}
