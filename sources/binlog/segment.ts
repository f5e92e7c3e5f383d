/**
 * Rows of a segment, in row order, as batches of columns.
 *
 * Memory: the files of one row range and, fetched ahead, of the next (both within `memoryBytes`, else single windows of
 * each file), one page per field, and one batch.
 */
import type { ColumnBatch, FieldFiles, Segment } from "../../pipeline/model/mod.ts";
import type { CollectionSchema, FieldSchema } from "../../pipeline/proto/gen/schema_pb.ts";
import {
  type PageValues,
  type ParquetColumn,
  type ParquetPage,
  type ParquetTable,
  typedValues,
} from "../../stores/mod.ts";
import { damaged } from "./damage.ts";
import { type FetchMode, GroupReader, type Locate, type OpenedFile } from "./group_reader.ts";
import { absentColumn, columnOf } from "./insert.ts";
import { PageCursor, slicePage } from "./page_cursor.ts";
import {
  countSets,
  entriesOfSets,
  groupOf,
  layoutV1,
  type StorageForm,
  storageForm,
  TIMESTAMP_FIELD,
  wantedFields,
} from "./row_layout.ts";

export interface SegmentReadOptions {
  /** Size that a batch aims at. Default 8 MiB. */
  readonly batchBytes?: number;
  /** Rows a batch has at most. Default 65 536. */
  readonly batchRows?: number;
  /** Bytes of files held at once. Default 32 MiB. */
  readonly memoryBytes?: number;
}

const FIRST_BATCH_ROWS = 1024;
const WINDOW_MIN = 256 * 1024;
const WINDOW_MAX = 4 * 1024 ** 2;
const NULL_PAGE_ROWS = 65_536;

/** One field's values on their way, or none: the field was added after the segment was written. */
interface FieldStream {
  /** Undefined: the timestamps, or a field read only to count rows. */
  readonly field: FieldSchema | undefined;
  readonly what: string;
  readonly cursor: PageCursor | undefined;
}

/**
 * `fieldIds`: user fields become columns; 1 (Timestamp) fills `timestamps`; `all` is both. A field without files becomes a
 * column of nulls. `locate` says where a file is.
 * Throws `not_found` for a missing file, `damaged` for a broken one, both with segment and file; `unsupported`.
 */
export async function* readSegment(
  segment: Segment,
  schema: CollectionSchema,
  fieldIds: readonly bigint[] | "all",
  locate: Locate,
  options: SegmentReadOptions = {},
  signal: AbortSignal = new AbortController().signal,
): AsyncIterable<ColumnBatch> {
  const { batchBytes = 8 * 1024 ** 2, batchRows = 65_536 } = options;
  const form = storageForm(segment);
  const wanted = wantedFields(schema, fieldIds);
  if (segment.binlogs.every((group) => group.files.length === 0)) return;
  const streams = await openStreams(segment, wanted, form, locate, options.memoryBytes ?? 32 * 1024 ** 2, signal);
  const cursors = streams.flatMap((stream) => stream.cursor === undefined ? [] : [stream.cursor]);
  try {
    let firstRow = 0;
    for (let rows = FIRST_BATCH_ROWS;;) {
      signal.throwIfAborted();
      rows = Math.min(rows, batchRows);
      const there = await fillAll(cursors, rows);
      const most = Math.max(...there);
      if (most === 0) break;
      const count = Math.min(rows, most);
      const short = there.findIndex((number) => number < count);
      if (short >= 0) {
        const stream = streams.filter((one) => one.cursor !== undefined)[short]!;
        throw damaged(stream.what, `ends at row ${firstRow + there[short]!} where other fields go on`);
      }
      const pages = streams.map((stream) => stream.cursor?.take(count));
      const bytes = pages.reduce((sum, page) => sum + (page === undefined ? 0 : bytesOf(page)), 0);
      // Rows may be much larger than those before: the batch is then cut, not the bound broken.
      const ends = bytes > 2 * batchBytes ? cut(pages, count, batchBytes) : [count];
      let start = 0;
      for (const end of ends) {
        const piece = ends.length === 1 ? pages : pages.map((page) => page && slicePage(page, start, end));
        yield batchOf(streams, piece, firstRow + start, end - start, wanted.timestamps);
        start = end;
      }
      firstRow += count;
      rows = Math.max(1, Math.floor(batchBytes / Math.max(1, bytes / count)));
    }
    checkTotal(segment, firstRow);
  } finally {
    await Promise.allSettled(cursors.map((cursor) => cursor.close()));
  }
}

/** Ends of pieces that hold about `size` bytes each, and at least one row. */
function cut(pages: readonly (ParquetPage | undefined)[], rows: number, size: number): number[] {
  const weights = new Float64Array(rows);
  for (const page of pages) {
    if (page?.values.kind === "bytes") page.values.values.forEach((value, row) => weights[row]! += value.length);
    else if (page !== undefined) weights.forEach((_, row) => weights[row]! += valueBytes(page.values) / rows);
  }
  const ends: number[] = [];
  let sum = 0;
  weights.forEach((weight, row) => {
    if (sum > 0 && sum + weight > size) {
      ends.push(row);
      sum = 0;
    }
    sum += weight;
  });
  return [...ends, rows];
}

/** All at once; every one is waited for, so that none fails unseen. */
async function fillAll(cursors: readonly PageCursor[], rows: number): Promise<number[]> {
  const results = await Promise.allSettled(cursors.map((cursor) => cursor.fill(rows)));
  return results.map((result) => {
    if (result.status === "rejected") throw result.reason;
    return result.value;
  });
}

function batchOf(
  streams: readonly FieldStream[],
  pages: readonly (ParquetPage | undefined)[],
  firstRow: number,
  rows: number,
  timestamps: boolean,
): ColumnBatch {
  let stamps: BigUint64Array | undefined;
  const columns: ColumnBatch["columns"][number][] = [];
  streams.forEach(({ field, what }, i) => {
    const page = pages[i];
    if (field !== undefined) {
      columns.push(page === undefined ? absentColumn(field, rows) : columnOf(field, page, what));
    } else if (timestamps && page !== undefined) {
      if (page.values.kind !== "int64" || page.valid !== undefined) throw damaged(what, "holds no timestamps");
      const { buffer, byteOffset, length } = page.values.values;
      stamps = new BigUint64Array(buffer, byteOffset, length);
    }
  });
  return { firstRow, rows, columns, timestamps: stamps };
}

async function openStreams(
  segment: Segment,
  wanted: { readonly fields: readonly FieldSchema[]; readonly timestamps: boolean },
  form: StorageForm,
  locate: Locate,
  memoryBytes: number,
  signal: AbortSignal,
): Promise<FieldStream[]> {
  const open = form === "v1"
    ? openerV1(segment, wanted, locate, memoryBytes, signal)
    : await openerV2(segment, locate, memoryBytes, signal);
  const streams = wanted.fields.map((field): FieldStream => ({
    field,
    what: `Field ${field.name} (${field.fieldID}) of segment ${segment.id}`,
    cursor: open(field.fieldID),
  }));
  // Without a column that has files, the timestamps say how many rows there are.
  if (wanted.timestamps || streams.every((stream) => stream.cursor === undefined)) {
    const what = `Field Timestamp (1) of segment ${segment.id}`;
    const cursor = open(TIMESTAMP_FIELD);
    if (cursor === undefined) throw damaged(what, "has no files");
    streams.push({ field: undefined, what, cursor });
  }
  return streams;
}

type Opener = (fieldId: bigint) => PageCursor | undefined;

function openerV1(
  segment: Segment,
  wanted: { readonly fields: readonly FieldSchema[] },
  locate: Locate,
  memoryBytes: number,
  signal: AbortSignal,
): Opener {
  const ids = new Set([TIMESTAMP_FIELD, ...wanted.fields.map((field) => field.fieldID)]);
  const mode = fetchMode(segment.binlogs.filter((group) => ids.has(group.fieldId)), memoryBytes);
  const sets: ({ readonly rows: number; readonly what: string } | undefined)[] = new Array(countSets(segment));
  const agree = (set: number, { rows, what }: OpenedFile) => {
    const other = sets[set] ??= { rows, what };
    if (other.rows !== rows) {
      throw damaged(what, `has ${rows} rows where ${other.what} of the same set has ${other.rows}`);
    }
  };
  return (fieldId) => {
    const layout = layoutV1(segment, fieldId);
    if (layout === undefined) return undefined;
    const { files, lead } = layout;
    const reader = new GroupReader({
      segmentId: segment.id,
      files,
      form: { kind: "envelope", fieldId },
      locate,
      mode,
      signal,
    });
    const what = `Field ${fieldId} of segment ${segment.id}`;
    const isRequired = fieldId <= TIMESTAMP_FIELD ||
      wanted.fields.some((field) => field.fieldID === fieldId && field.isPrimaryKey);
    const leadRows = lead === 0 ? [] : isRequired ? undefined : entriesOfSets(segment, lead);
    if (leadRows === undefined) {
      throw damaged(what, `has ${files.length} files where other fields have ${files.length + lead}`);
    }
    const pages = async function* () {
      yield* leadingNulls(reader, leadRows);
      yield* reader.pages((table) => table.columns[0], (index, file) => agree(index + lead, file));
    };
    return new PageCursor(pages());
  };
}

async function openerV2(segment: Segment, locate: Locate, memoryBytes: number, signal: AbortSignal): Promise<Opener> {
  const mode = fetchMode(segment.binlogs, memoryBytes);
  const readers = new Map<FieldFiles, GroupReader>();
  const readerOf = (group: FieldFiles): GroupReader => {
    let reader = readers.get(group);
    if (reader === undefined) {
      reader = new GroupReader({
        segmentId: segment.id,
        files: group.files,
        form: { kind: "bare" },
        locate,
        mode,
        signal,
      });
      readers.set(group, reader);
    }
    return reader;
  };
  // 2.6.0 and 2.6.1 did not write which fields a group has: the files themselves say it.
  const byFile = new Map<bigint, FieldFiles>();
  for (const group of segment.binlogs) {
    if (group.childFields.length > 0 || group.files.length === 0) continue;
    const { tables } = await readerOf(group).open(0);
    for (const column of tables[0]!.columns) if (column.fieldId !== undefined) byFile.set(column.fieldId, group);
  }
  return (fieldId) => {
    const group = byFile.get(fieldId) ?? groupOf(segment, fieldId);
    if (group === undefined || group.files.length === 0) return undefined;
    const reader = readerOf(group);
    const pick = (table: ParquetTable) =>
      table.columns.find((column) => column.fieldId === fieldId) ??
        (table.columns.length === 1 && group.fieldId === fieldId ? table.columns[0] : undefined);
    return new PageCursor(reader.pages(pick));
  };
}

/** Pages of nulls in the form of the column's first file. */
async function* leadingNulls(reader: GroupReader, sets: readonly number[]): AsyncIterable<ParquetPage> {
  if (sets.length === 0) return;
  const file = await reader.open(0);
  const column = file.tables[0]?.columns[0];
  if (column === undefined) throw damaged(file.what, "lacks its column");
  for (const rows of sets) yield* nullPages(column, rows);
}

function* nullPages(column: ParquetColumn, rows: number): Iterable<ParquetPage> {
  for (let left = rows; left > 0; left -= NULL_PAGE_ROWS) {
    const count = Math.min(left, NULL_PAGE_ROWS);
    yield { rows: count, valid: new Uint8Array(count), values: typedValues(column.type, column.width, count) };
  }
}

/** Whole files where those of the largest set fit in half of the memory, the other half being for the next set. */
function fetchMode(groups: readonly FieldFiles[], memoryBytes: number): FetchMode {
  const sets = Math.max(0, ...groups.map((group) => group.files.length));
  for (let set = 0; set < sets; set++) {
    const bytes = groups.reduce((sum, group) => sum + (group.files[set]?.size ?? 0n), 0n);
    if (bytes * 2n <= BigInt(memoryBytes)) continue;
    const window = Math.floor(memoryBytes / 2 / groups.length);
    return { kind: "ranges", window: Math.min(WINDOW_MAX, Math.max(WINDOW_MIN, window)) };
  }
  return { kind: "whole" };
}

/** Where metadata has no counts per file, the segment's own is all there is to compare with. */
function checkTotal(segment: Segment, rows: number): void {
  const counted = segment.binlogs.some((group) => group.files.some((file) => file.entries > 0n));
  const complete = segment.state === "flushed" || segment.state === "flushing";
  if (!counted && complete && segment.rows > 0n && segment.rows !== BigInt(rows)) {
    throw damaged(`Segment ${segment.id}`, `has ${rows} rows in its files where metadata says ${segment.rows}`);
  }
}

function bytesOf(page: ParquetPage): number {
  return valueBytes(page.values) + (page.valid?.length ?? 0);
}

function valueBytes(values: PageValues): number {
  if (values.kind === "fixed") return values.bytes.length;
  if (values.kind !== "bytes") return values.values.byteLength;
  let bytes = 0;
  for (const value of values.values) bytes += value.length + 4;
  return bytes;
}
