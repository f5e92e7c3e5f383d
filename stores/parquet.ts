/**
 * Parquet, column by column and page by page. The only importer of hyparquet, of which it takes the footer, the page
 * headers and the rare encodings; pages are decoded here into typed arrays, so that no object is made per value.
 *
 * Memory while reading a column: one window of compressed bytes (the whole chunk where the source is in memory), the
 * chunk's dictionary, and one page. Page sizes are the writer's choice: 1 MiB with Arrow's defaults.
 */
import { parquetMetadata } from "hyparquet";
import { parquetHeader } from "hyparquet/src/column.js";
import { decompressPage } from "hyparquet/src/datapage.js";
import { deltaBinaryUnpack, deltaByteArray, deltaLengthByteArray } from "hyparquet/src/delta.js";
import { byteStreamSplit } from "hyparquet/src/encoding.js";
import { brotliDecompressSync, gunzipSync, zstdDecompressSync } from "node:zlib";
import { TidemarkError } from "../pipeline/errors.ts";
import {
  bytesPlain,
  emptyLike,
  gather,
  type PageValues,
  type ParquetPage,
  type ParquetType,
  plainValues,
  scatter,
  typedValues,
} from "./parquet_values.ts";
import { type ByteSource, bytesSource } from "./byte_source.ts";
import { readHybrid } from "./parquet_levels.ts";
import { ListRows, maxDefinition } from "./parquet_lists.ts";
import { type Leaf, type LeafForm, leavesOf } from "./parquet_schema.ts";

export { emptyLike, typedValues } from "./parquet_values.ts";
export type { PageValues, ParquetPage, ParquetType } from "./parquet_values.ts";

export interface ParquetGroup {
  readonly firstRow: number;
  readonly rows: number;
}

export interface ParquetColumn {
  readonly index: number;
  /** Of the top-level node, as the field id: of a list, both stand above its elements. */
  readonly name: string;
  /** Arrow's `PARQUET:field_id`, where the writer gave one. */
  readonly fieldId: bigint | undefined;
  readonly type: ParquetType;
  /** Bytes a value of a FIXED_LEN_BYTE_ARRAY (of a list: an element), otherwise 0. */
  readonly width: number;
  readonly optional: boolean;
  /**
   * `list`: rows are lists of fixed-size values; a page has their bytes, one cell of kind `bytes` a row. `nested`: its pages
   * cannot be read here.
   */
  readonly form: LeafForm;
  /** Smallest and largest value of a row group by its statistics, as the writer stored them; undefined where it did not. */
  statistics(group: number): { readonly min: unknown; readonly max: unknown } | undefined;
  /** The column's pages in row order, of all row groups or of the given ones. Throws `damaged`, `unsupported`. */
  pages(groups?: readonly number[]): AsyncIterable<ParquetPage>;
}

export interface ParquetTable {
  readonly rows: number;
  readonly columns: readonly ParquetColumn[];
  readonly groups: readonly ParquetGroup[];
  /** The file's key-value metadata. */
  readonly keyValues: ReadonlyMap<string, string>;
}

const MAGIC = 0x31524150;
/** `PARE`: Parquet's modular encryption, which ends a file and begins it. */
const ENCRYPTED_MAGIC = 0x45524150;
/** More values in one page, or bytes when it is unpacked, no writer makes; a broken header may claim any number. */
const MOST_VALUES = 2 ** 27;
const MOST_PAGE_BYTES = 2 ** 30;
/** Room that is made for a page on its header's word; what is larger gets it in pieces, as it comes. */
const MOST_ROOM_BYTES = 16 * 1024 ** 2;
/** The least that the platform takes. */
const LEAST_ROOM_BYTES = 64;
const FOOTER_BYTES = 64 * 1024;
const HEADER_BYTES = 64 * 1024;

// deno-lint-ignore no-explicit-any
type Thrift = any;

/**
 * Opens a Parquet file. `what` names it in errors, for example `insert_log/1/2/3/100/4`.
 * Throws `damaged` where the bytes are not a whole Parquet file, `unsupported` where they are encrypted.
 */
export async function openParquet(input: ByteSource | Uint8Array, what: string): Promise<ParquetTable> {
  const source = input instanceof Uint8Array ? bytesSource(input) : input;
  const footer = await readFooter(source, what);
  const metadata = guard(what, "footer", () => parquetMetadata(footer, { geoparquet: false }) as Thrift);
  return guard(what, "footer", () => describe(source, metadata, what));
}

/** All columns of a small file at once, each as a single page. */
export async function readParquet(
  input: ByteSource | Uint8Array,
  what: string,
): Promise<{ readonly file: ParquetTable; readonly columns: readonly ParquetPage[] }> {
  const file = await openParquet(input, what);
  const columns: ParquetPage[] = [];
  for (const column of file.columns) {
    columns.push(joinPages(column, await Array.fromAsync(column.pages())));
  }
  return { file, columns };
}

/** The pages of a column as one; none give an empty one. */
export function joinPages(column: Pick<ParquetColumn, "type" | "width">, pages: readonly ParquetPage[]): ParquetPage {
  if (pages.length > 0) return concatPages(pages);
  return { rows: 0, valid: undefined, values: typedValues(column.type, column.width, 0) };
}

/** Several pages of one column, at least one, as one. */
export function concatPages(pages: readonly ParquetPage[]): ParquetPage {
  if (pages.length === 1) return pages[0]!;
  const rows = pages.reduce((sum, page) => sum + page.rows, 0);
  const values = emptyLike(pages[0]!.values, rows);
  const valid = pages.some((page) => page.valid !== undefined) ? new Uint8Array(rows).fill(1) : undefined;
  let at = 0;
  for (const page of pages) {
    scatter(values, at, page.values, undefined, page.rows);
    if (page.valid !== undefined) valid!.set(page.valid, at);
    at += page.rows;
  }
  return { rows, valid, values };
}

async function readFooter(source: ByteSource, what: string): Promise<Uint8Array> {
  if (source.size < 12) throw damaged(what, `is ${source.size} bytes long, too short for a Parquet file`);
  let tail = await source.read(Math.max(0, source.size - FOOTER_BYTES), source.size);
  const view = new DataView(tail.buffer, tail.byteOffset, tail.byteLength);
  const magic = view.getUint32(tail.length - 4, true);
  if (magic === ENCRYPTED_MAGIC) {
    throw new TidemarkError("unsupported", `${what} is encrypted by the source's cipher plugin (it ends with PARE)`, {
      hint: "Collections of an encrypted database cannot be read from their files; exclude them.",
    });
  }
  if (magic !== MAGIC) {
    throw damaged(what, "does not end as a Parquet file does: it is cut off");
  }
  const length = view.getUint32(tail.length - 8, true) + 8;
  if (length > source.size) throw damaged(what, `claims a footer of ${length} bytes in ${source.size}`);
  if (length > tail.length) tail = await source.read(source.size - length, source.size);
  return tail;
}

function describe(source: ByteSource, metadata: Thrift, what: string): ParquetTable {
  const keyValues = new Map<string, string>();
  for (const pair of metadata.key_value_metadata ?? []) keyValues.set(pair.key, pair.value ?? "");
  const groups: ParquetGroup[] = [];
  let rows = 0;
  for (const group of metadata.row_groups) {
    const count = toCount(group.num_rows, what);
    groups.push({ firstRow: rows, rows: count });
    rows += count;
  }
  // A footer whose list of row groups is short would lose their rows: nobody counts the deletes of a file once more.
  if (toCount(metadata.num_rows, what) !== rows) {
    throw damaged(what, `has ${rows} rows in its row groups where its footer says ${metadata.num_rows}`);
  }
  const columns = leavesOf(metadata.schema).map((leaf, index): ParquetColumn => ({
    index,
    name: leaf.name,
    fieldId: leaf.fieldId,
    type: leaf.type,
    width: leaf.width,
    optional: leaf.optional,
    form: leaf.form,
    statistics(group) {
      const stats = metadata.row_groups[group]?.columns[index]?.meta_data?.statistics;
      const min = stats?.min_value ?? stats?.min;
      const max = stats?.max_value ?? stats?.max;
      return min === undefined || max === undefined ? undefined : { min, max };
    },
    async *pages(wanted) {
      if (leaf.form === "nested") {
        throw new TidemarkError("unsupported", `Column ${leaf.name} of ${what} is nested, which is not supported`);
      }
      for (let group = 0; group < groups.length; group++) {
        if (wanted !== undefined && !wanted.includes(group)) continue;
        const chunk = metadata.row_groups[group].columns[index]?.meta_data;
        yield* chunkPages(source, chunk, leaf, groups[group]!.rows, what);
      }
    },
  }));
  return { rows, columns, groups, keyValues };
}

/** Pages of one column chunk; rows are counted against the row group. */
async function* chunkPages(
  source: ByteSource,
  chunk: Thrift,
  column: Leaf,
  rows: number,
  what: string,
): AsyncIterable<ParquetPage> {
  if (chunk === undefined) throw damaged(what, `has no data for column ${column.name}`);
  const first = chunk.dictionary_page_offset || chunk.data_page_offset;
  const start = toCount(first, what);
  const end = start + toCount(chunk.total_compressed_size, what);
  if (end > source.size) {
    throw damaged(what, `is cut off: column ${column.name} ends at ${end} of ${source.size} bytes`);
  }
  const window = new Window(source, start, end);
  const lists = column.form === "list" ? new ListRows(column) : undefined;
  /** A list has a value per element, and one where it is empty or null. */
  const values = lists === undefined ? rows : toCount(chunk.num_values, what);
  let dictionary: PageValues | undefined;
  let seen = 0;
  let complete = 0;
  while (seen < values) {
    const header = await pageHeader(window, what);
    const compressed = await window.take(header.compressed_page_size);
    if (compressed === undefined) throw damaged(what, `is cut off in a page of column ${column.name}`);
    const context = { what, column, codec: chunk.codec };
    if (header.type === "DICTIONARY_PAGE") {
      dictionary = guard(what, "dictionary page", () => decodeDictionary(compressed, header, context));
    } else if (header.type === "DATA_PAGE" || header.type === "DATA_PAGE_V2") {
      const count = countOf(header, values - seen, what);
      seen += count;
      const page = guard(what, "data page", () => decodePage(compressed, header, count, dictionary, lists, context));
      complete += page.rows;
      if (page.rows > 0) yield page;
    } else if (header.type !== "INDEX_PAGE") {
      throw damaged(what, `has a page of unknown kind ${header.type}`);
    }
  }
  if (lists === undefined) return;
  const last = lists.end();
  complete += last.rows;
  if (last.rows > 0) yield last;
  if (complete !== rows) {
    throw damaged(what, `has ${complete} lists in column ${column.name} where its footer says ${rows}`);
  }
}

/** Values in a data page, nulls counted. */
function countOf(header: Thrift, left: number, what: string): number {
  const count: unknown = (header.data_page_header ?? header.data_page_header_v2)?.num_values;
  if (typeof count === "number" && count >= 0 && count <= Math.min(left, MOST_VALUES)) return count;
  throw damaged(what, `has a page of ${count} values where at most ${left} are left`);
}

/** Reads a chunk front to back through windows of the source. */
class Window {
  #bytes: Uint8Array = new Uint8Array();
  #at = 0;
  constructor(private readonly source: ByteSource, private position: number, private readonly end: number) {}

  /** At least `count` bytes from here, fewer only at the end of the chunk. Does not advance. */
  async peek(count: number): Promise<Uint8Array> {
    const held = this.#bytes.length - this.#at;
    const left = this.end - this.position;
    if (held < count && left > 0) {
      const more = Math.min(left, Math.max(count - held, this.source.window));
      const read = await this.source.read(this.position, this.position + more);
      this.position += more;
      if (held === 0) {
        this.#bytes = read;
      } else {
        const joined = new Uint8Array(held + read.length);
        joined.set(this.#bytes.subarray(this.#at));
        joined.set(read, held);
        this.#bytes = joined;
      }
      this.#at = 0;
    }
    return this.#bytes.subarray(this.#at);
  }
  advance(count: number): void {
    this.#at += count;
  }
  /** The next `count` bytes, a number as the file says it; undefined if the chunk ends before. */
  async take(count: unknown): Promise<Uint8Array | undefined> {
    if (typeof count !== "number" || !(count >= 0)) return undefined;
    const bytes = await this.peek(count);
    if (bytes.length < count) return undefined;
    this.advance(count);
    return bytes.subarray(0, count);
  }
}

async function pageHeader(window: Window, what: string): Promise<Thrift> {
  // The size of a header is not known before it is read: it may hold the longest value as a statistic.
  for (let want = HEADER_BYTES;; want *= 4) {
    const bytes = await window.peek(want);
    try {
      if (bytes.length === 0) throw new RangeError("no bytes left");
      const reader = { view: new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength), offset: 0 };
      const header = parquetHeader(reader) as Thrift;
      if (reader.offset > bytes.length) throw new RangeError("past the end");
      window.advance(reader.offset);
      return header;
    } catch (cause) {
      if (bytes.length >= want && want < 64 * 1024 ** 2) continue;
      throw damaged(what, "has a broken page header", cause);
    }
  }
}

interface PageContext {
  readonly what: string;
  readonly column: Leaf;
  readonly codec: string;
}

function decodeDictionary(bytes: Uint8Array, header: Thrift, { column, codec }: PageContext): PageValues {
  const page = decompress(bytes, header.uncompressed_page_size, codec);
  return plainValues(page, column.type, column.width, header.dictionary_page_header.num_values);
}

/** `count`: values of the page, nulls counted; as many rows in a flat column. */
function decodePage(
  bytes: Uint8Array,
  header: Thrift,
  count: number,
  dictionary: PageValues | undefined,
  lists: ListRows | undefined,
  context: PageContext,
): ParquetPage {
  const { column } = context;
  const { body, repetition, definition } = split(bytes, header, lists !== undefined, context);
  const { encoding } = header.data_page_header ?? header.data_page_header_v2;
  if (lists !== undefined) {
    const [repeats, marks] = [new Uint8Array(count), new Uint8Array(count)];
    const most = maxDefinition(column);
    readHybrid(repetition, 1, repeats);
    readHybrid(definition, most === 1 ? 1 : 2, marks);
    const present = marks.reduce((sum, mark) => sum + (mark === most ? 1 : 0), 0);
    const elements = present === 0
      ? typedValues(column.type, column.width, 0)
      : decodeValues(body, encoding, present, dictionary, context);
    if (elements.kind !== "fixed") throw new Error(`elements of kind ${elements.kind}`);
    return lists.push(repeats, marks, elements.bytes);
  }
  let valid: Uint8Array | undefined;
  let present = count;
  if (column.optional) {
    const marks = new Uint8Array(count);
    readHybrid(definition, 1, marks);
    present = marks.reduce((sum, mark) => sum + mark, 0);
    if (present < count) valid = marks;
  }
  const dense = present === 0
    ? typedValues(column.type, column.width, 0)
    : decodeValues(body, encoding, present, dictionary, context);
  if (valid === undefined) return { rows: count, valid, values: dense };
  const values = typedValues(column.type, column.width, count);
  scatter(values, 0, dense, valid, count);
  return { rows: count, valid, values };
}

interface PageParts {
  readonly repetition: Uint8Array;
  readonly definition: Uint8Array;
  /** The values, unpacked. */
  readonly body: Uint8Array;
}

/** Levels stand in front of the values: packed with them in a page of version 1, beside them in version 2. */
function split(bytes: Uint8Array, header: Thrift, repeated: boolean, { column, codec }: PageContext): PageParts {
  const v2 = header.data_page_header_v2;
  const defined = column.optional || repeated;
  if (v2 !== undefined) {
    const repetitionEnd: number = v2.repetition_levels_byte_length;
    const skip = repetitionEnd + v2.definition_levels_byte_length;
    if (!(skip <= bytes.length)) throw new Error("levels longer than the page");
    let body = bytes.subarray(skip);
    if (v2.is_compressed !== false && body.length > 0) {
      body = decompress(body, header.uncompressed_page_size - skip, codec);
    }
    return { repetition: bytes.subarray(0, repetitionEnd), definition: bytes.subarray(repetitionEnd, skip), body };
  }
  let body = decompress(bytes, header.uncompressed_page_size, codec);
  const levels = (): Uint8Array => {
    const length = new DataView(body.buffer, body.byteOffset, body.byteLength).getUint32(0, true);
    if (4 + length > body.length) throw new Error("levels longer than the page");
    const found = body.subarray(4, 4 + length);
    body = body.subarray(4 + length);
    return found;
  };
  const repetition = repeated ? levels() : NO_BYTES;
  const definition = defined ? levels() : NO_BYTES;
  return { repetition, definition, body };
}

const NO_BYTES = new Uint8Array();

function decodeValues(
  body: Uint8Array,
  encoding: string,
  count: number,
  dictionary: PageValues | undefined,
  { column, what }: PageContext,
): PageValues {
  const { type, width } = column;
  const reader = () => ({ view: new DataView(body.buffer, body.byteOffset, body.byteLength), offset: 0 });
  switch (encoding) {
    case "PLAIN":
      return plainValues(body, type, width, count);
    case "PLAIN_DICTIONARY":
    case "RLE_DICTIONARY": {
      if (dictionary === undefined) throw new Error("a dictionary page is missing");
      const indices = new Uint32Array(count);
      const bits = body[0];
      if (bits === undefined || bits > 32) throw new Error(`indices of ${bits} bits`);
      if (bits > 0) readHybrid(body.subarray(1), bits, indices);
      return gather(dictionary, indices);
    }
    case "RLE": {
      if (type !== "BOOLEAN") break;
      const values = new Uint8Array(count);
      readHybrid(body.subarray(4), 1, values);
      return { kind: "bool", values };
    }
    case "DELTA_BINARY_PACKED": {
      if (type === "INT32") {
        const values = new Int32Array(count);
        deltaBinaryUnpack(reader(), count, values);
        return { kind: "int32", values };
      }
      const values = new BigInt64Array(count);
      deltaBinaryUnpack(reader(), count, values);
      return { kind: "int64", values };
    }
    case "DELTA_LENGTH_BYTE_ARRAY":
    case "DELTA_BYTE_ARRAY": {
      const values = new Array<Uint8Array>(count);
      (encoding === "DELTA_BYTE_ARRAY" ? deltaByteArray : deltaLengthByteArray)(reader(), count, values);
      return type === "FIXED_LEN_BYTE_ARRAY" ? bytesPlain(values, width) : { kind: "bytes", values };
    }
    case "BYTE_STREAM_SPLIT": {
      const values = byteStreamSplit(reader(), count, type, width || undefined) as ArrayBufferView | Uint8Array[];
      if (Array.isArray(values)) return bytesPlain(values, width);
      return plainValues(new Uint8Array(values.buffer, values.byteOffset, values.byteLength), type, width, count);
    }
  }
  throw new TidemarkError(
    "unsupported",
    `Column ${column.name} of ${what} has encoding ${encoding} for ${type}, which is not supported`,
  );
}

function decompress(bytes: Uint8Array, size: number, codec: string): Uint8Array {
  if (!(size >= 0) || size > MOST_PAGE_BYTES) throw new Error(`a page of ${size} bytes`);
  const bounded = {
    maxOutputLength: Math.max(1, size),
    // In one piece: in those of the platform, 16 KiB, each page is put together from many, at twice the time and a copy. One
    // more than there can be: a piece that is full has a second one made behind it.
    chunkSize: Math.max(LEAST_ROOM_BYTES, Math.min(size, MOST_ROOM_BYTES) + 1),
  };
  const page = decompressPage(bytes, size, codec as Thrift, {
    ZSTD: (input: Uint8Array) => zstdDecompressSync(input, bounded),
    GZIP: (input: Uint8Array) => gunzipSync(input, bounded),
    BROTLI: (input: Uint8Array) => brotliDecompressSync(input, bounded),
  });
  // node:zlib gives a Buffer, whose `slice` is a view and not a copy: nobody behind here is to be surprised by that.
  return new Uint8Array(page.buffer, page.byteOffset, page.byteLength);
}

function toCount(value: bigint | number | undefined, what: string): number {
  // Row counts and file offsets, below 2^53 in any file that exists.
  const count = Number(value ?? -1);
  if (!Number.isSafeInteger(count) || count < 0) throw damaged(what, `has an impossible number ${value} in its footer`);
  return count;
}

/** Runs a decoding step; whatever it throws means that the bytes are not what they claim. */
function guard<T>(what: string, part: string, step: () => T): T {
  try {
    return step();
  } catch (cause) {
    if (cause instanceof TidemarkError) throw cause;
    throw damaged(what, `has a broken ${part}: ${cause instanceof Error ? cause.message : String(cause)}`, cause);
  }
}

function damaged(what: string, detail: string, cause?: unknown): TidemarkError {
  return new TidemarkError("damaged", `${what} ${detail}`, { cause });
}
