/**
 * Rows of a segment, in row order, as batches of columns.
 *
 * Memory: the files of one row range and, fetched ahead, of the next (both within `memoryBytes`, else single windows of
 * each file), one page per field, and one batch.
 */
import { absentColumn } from "../../pipeline/columns/mod.ts";
import type { ColumnBatch, Segment } from "../../pipeline/model/mod.ts";
import { type CollectionSchema, DataType, type FieldSchema } from "../../pipeline/proto/gen/schema_pb.ts";
import {
  type PageValues,
  type ParquetColumn,
  type ParquetPage,
  type ParquetTable,
  typedValues,
} from "../../stores/mod.ts";
import { damaged } from "./damage.ts";
import { fetchModes } from "./fetch_plan.ts";
import { GroupReader, type Locate, type OpenedFile } from "./group_reader.ts";
import { columnOf } from "./insert.ts";
import { readManifest } from "./manifest_segment.ts";
import { PageCursor, slicePage } from "./page_cursor.ts";
import {
  type ColumnGroup,
  countSets,
  entriesOfSets,
  groupsV2,
  layoutV1,
  ROW_ID_FIELD,
  type StorageForm,
  storageForm,
  TIMESTAMP_FIELD,
  type WantedField,
  wantedFields,
} from "./row_layout.ts";
import { inlineTexts } from "./text_cells.ts";

export interface SegmentReadOptions {
  /** Size that a batch aims at. Default 8 MiB. */
  readonly batchBytes?: number;
  /** Rows a batch has at most. Default 65 536. */
  readonly batchRows?: number;
  /** Bytes of files held at once. Default 32 MiB. */
  readonly memoryBytes?: number;
}

const FIRST_BATCH_ROWS = 1024;
const NULL_PAGE_ROWS = 65_536;

/** One field's values on their way, or none: the field was added after the segment was written. */
interface FieldStream {
  /** Undefined: the timestamps, or a field read only to count rows. */
  readonly wanted: WantedField | undefined;
  readonly what: string;
  readonly cursor: PageCursor | undefined;
}

/** The cursor of a field; undefined: it has no file. */
type Opener = (field: FieldSchema | undefined, fieldId: bigint) => PageCursor | undefined;

/**
 * `fieldIds`: user fields become columns, those of struct arrays flattened; 1 (Timestamp) fills `timestamps`; `all` is both.
 * A row that was written before its field was added has the field's default, or null. A segment with a commit timestamp has
 * rows of that time or later. `locate` says where a file is.
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
  const streams = await openStreams(segment, wanted, form, locate, options.memoryBytes ?? 32 * 1024 ** 2, signal);
  if (streams.length === 0) return;
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
        yield batchOf(segment, streams, piece, firstRow + start, end - start, wanted.timestamps);
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
  segment: Segment,
  streams: readonly FieldStream[],
  pages: readonly (ParquetPage | undefined)[],
  firstRow: number,
  rows: number,
  timestamps: boolean,
): ColumnBatch {
  let stamps: BigUint64Array | undefined;
  const columns: ColumnBatch["columns"][number][] = [];
  streams.forEach(({ wanted, what }, i) => {
    const page = pages[i];
    if (wanted !== undefined) {
      const { field, inStruct } = wanted;
      const absent = () => absentColumn(field, rows, { inStruct, what: `Segment ${segment.id}` });
      columns.push(page === undefined ? absent() : columnOf(field, page, what));
    } else if (timestamps && page !== undefined) {
      if (page.values.kind !== "int64" || page.valid !== undefined) throw damaged(what, "holds no timestamps");
      const { buffer, byteOffset, length } = page.values.values;
      stamps = effectiveTs(new BigUint64Array(buffer, byteOffset, length), segment.commitTimestamp);
    }
  });
  return { firstRow, rows, columns, timestamps: stamps };
}

/** Rows of an import (3.0) count from its commit, whatever they carry. */
function effectiveTs(timestamps: BigUint64Array, committed: bigint): BigUint64Array {
  return committed === 0n ? timestamps : timestamps.map((ts) => ts > committed ? ts : committed);
}

/** None: the segment has no rows in files. */
async function openStreams(
  segment: Segment,
  wanted: { readonly fields: readonly WantedField[]; readonly timestamps: boolean },
  form: StorageForm,
  locate: Locate,
  memoryBytes: number,
  signal: AbortSignal,
): Promise<FieldStream[]> {
  const open = form === "v1" ? openerV1(segment, wanted.fields, locate, memoryBytes, signal) : await openerOfGroups(
    segment,
    form === "v2" ? groupsV2(segment) : await manifestGroups(segment, locate, signal),
    [TIMESTAMP_FIELD, ...wanted.fields.map(({ field }) => field.fieldID)],
    { isManifest: form === "v3", locate, memoryBytes, signal },
  );
  if (open === undefined) return [];
  const streams = wanted.fields.map((one): FieldStream => ({
    wanted: one,
    what: `Field ${one.field.name} (${one.field.fieldID}) of segment ${segment.id}`,
    cursor: open(one.field, one.field.fieldID),
  }));
  // Without a column that has files, the timestamps say how many rows there are.
  if (wanted.timestamps || streams.every((stream) => stream.cursor === undefined)) {
    const what = `Field Timestamp (1) of segment ${segment.id}`;
    const cursor = open(undefined, TIMESTAMP_FIELD);
    if (cursor === undefined) throw damaged(what, "has no files");
    streams.push({ wanted: undefined, what, cursor });
  }
  return streams;
}

async function manifestGroups(segment: Segment, locate: Locate, signal: AbortSignal): Promise<readonly ColumnGroup[]> {
  const nothing = { logId: 0n, entries: 0n, tsFrom: 0n, tsTo: 0n, size: 0n };
  return (await readManifest(segment, (path) => locate({ path, ...nothing }), signal)).groups;
}

function openerV1(
  segment: Segment,
  wanted: readonly WantedField[],
  locate: Locate,
  memoryBytes: number,
  signal: AbortSignal,
): Opener | undefined {
  if (countSets(segment) === 0) return undefined;
  const ids = new Set([TIMESTAMP_FIELD, ...wanted.map(({ field }) => field.fieldID)]);
  const read = segment.binlogs.filter((group) => ids.has(group.fieldId));
  const modes = fetchModes(
    read.map(({ files }) => ({ files: files.map((file) => ({ file })), columns: 1 })),
    memoryBytes,
  );
  const sets: ({ readonly rows: number; readonly what: string } | undefined)[] = new Array(countSets(segment));
  const agree = (set: number, { rows, what }: OpenedFile) => {
    const other = sets[set] ??= { rows, what };
    if (other.rows !== rows) {
      throw damaged(what, `has ${rows} rows where ${other.what} of the same set has ${other.rows}`);
    }
  };
  return (field, fieldId) => {
    const layout = layoutV1(segment, fieldId);
    if (layout === undefined) return undefined;
    const { files, lead } = layout;
    const reader = new GroupReader({
      segmentId: segment.id,
      files: files.map((file) => ({ file })),
      form: { kind: "envelope", fieldId },
      locate,
      mode: modes[read.findIndex((group) => group.fieldId === fieldId)]!,
      signal,
    });
    const what = `Field ${fieldId} of segment ${segment.id}`;
    const isRequired = field === undefined || fieldId === ROW_ID_FIELD || field.isPrimaryKey;
    const leadRows = lead === 0 ? [] : isRequired ? undefined : entriesOfSets(segment, lead);
    if (leadRows === undefined) {
      throw damaged(what, `has ${files.length} files where other fields have ${files.length + lead}`);
    }
    const pages = async function* () {
      if (field !== undefined) yield* leadingRows(reader, field, leadRows);
      yield* reader.pages((table) => table.columns[0], (index, file) => agree(index + lead, file));
    };
    return new PageCursor(pages());
  };
}

async function openerOfGroups(
  segment: Segment,
  all: readonly ColumnGroup[],
  fieldIds: readonly bigint[],
  options: {
    readonly isManifest: boolean;
    readonly locate: Locate;
    readonly memoryBytes: number;
    readonly signal: AbortSignal;
  },
): Promise<Opener | undefined> {
  const { isManifest, locate, memoryBytes, signal } = options;
  const groups = all.filter(({ files }) => files.length > 0);
  if (groups.length === 0) return undefined;
  const columns = groups.map(({ fields }) =>
    fields === undefined ? 2 : fieldIds.filter((id) => fields.includes(id)).length
  );
  const modes = fetchModes(groups.map(({ files }, i) => ({ files, columns: columns[i]! })), memoryBytes);
  const readers = groups.map(({ files }, i) =>
    new GroupReader({ segmentId: segment.id, files, form: { kind: "bare" }, locate, mode: modes[i]!, signal })
  );
  const groupOf = new Map<bigint, number>();
  for (const [i, { name, fields }] of groups.entries()) {
    for (const id of fields ?? await fieldsIn(readers[i]!)) {
      const other = groupOf.get(id);
      if (other !== undefined && fields !== undefined && groups[other]!.fields !== undefined) {
        throw damaged(`Segment ${segment.id}`, `has field ${id} in ${groups[other]!.name} and in ${name}`);
      }
      // What metadata says of one group wins over what only lies in the file of another.
      if (other === undefined || groups[other]!.fields === undefined) groupOf.set(id, i);
    }
  }
  return (field, fieldId) => {
    const i = groupOf.get(fieldId);
    if (i === undefined) return undefined;
    const pick = (table: ParquetTable) => pickColumn(table, fieldId, groups[i]!.fields);
    const pages = readers[i]!.pages(pick);
    const isText = isManifest && field?.dataType === DataType.Text;
    return new PageCursor(isText ? mapPages(pages, (page) => inlineTexts(page, whatOf(field, segment))) : pages);
  };
}

function whatOf(field: FieldSchema, segment: Segment): string {
  return `Field ${field.name} (${field.fieldID}) of segment ${segment.id}`;
}

async function* mapPages(
  pages: AsyncIterable<ParquetPage>,
  change: (page: ParquetPage) => ParquetPage,
): AsyncIterable<ParquetPage> {
  for await (const page of pages) yield change(page);
}

/** By the id of the top-level node. Names do not count (a rename does not reach them), but where there is nothing else. */
function pickColumn(
  table: ParquetTable,
  fieldId: bigint,
  fields: readonly bigint[] | undefined,
): ParquetColumn | undefined {
  return table.columns.find((column) => column.fieldId === fieldId) ??
    table.columns.find((column) => column.fieldId === undefined && column.name === String(fieldId)) ??
    (table.columns.length === 1 && table.columns[0]!.fieldId === undefined && fields?.length === 1 &&
        fields[0] === fieldId
      ? table.columns[0]
      : undefined);
}

/** 2.6.0 and 2.6.1 did not write which fields a group has: its first file says it. */
async function fieldsIn(reader: GroupReader): Promise<bigint[]> {
  const { tables } = await reader.open(0);
  return tables[0]!.columns.flatMap(({ fieldId }) => fieldId === undefined ? [] : [fieldId]);
}

/** Rows of files that were written before the field was added: its default, or null in the form of its first file. */
async function* leadingRows(
  reader: GroupReader,
  field: FieldSchema,
  sets: readonly number[],
): AsyncIterable<ParquetPage> {
  if (sets.length === 0) return;
  const file = await reader.open(0);
  const column = file.tables[0]?.columns[0];
  if (column === undefined) throw damaged(file.what, "lacks its column");
  for (const rows of sets) {
    for (let left = rows; left > 0; left -= NULL_PAGE_ROWS) {
      const count = Math.min(left, NULL_PAGE_ROWS);
      const { valid, data } = absentColumn(field, count, { what: `A set of files of ${file.what}` });
      const values: PageValues = valid !== undefined
        ? typedValues(column.form === "list" ? "BYTE_ARRAY" : column.type, column.width, count)
        : data.kind === "utf8" || data.kind === "bytes"
        ? { kind: "bytes", values: [...data.values] }
        : data;
      yield { rows: count, valid, values };
    }
  }
}

/** Where metadata has no counts per file, the segment's own is all there is to compare with. */
function checkTotal(segment: Segment, rows: number): void {
  // Of a manifest's segment the counts are summaries, if there are any: what counts is its own number of rows.
  const counted = segment.manifestPath === "" &&
    segment.binlogs.some((group) => group.files.some((file) => file.entries > 0n));
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
