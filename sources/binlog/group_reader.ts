/** The files of one field (storage V1) or column group (V2), opened in row order, each once, the next one ahead of time. */
import type { LogFile, ObjectStore } from "../../pipeline/model/mod.ts";
import {
  blockSource,
  type ByteSource,
  bytesSource,
  objectSource,
  openParquet,
  type ParquetColumn,
  type ParquetPage,
  type ParquetTable,
} from "../../stores/mod.ts";
import { damaged, fileError } from "./damage.ts";
import { EVENT_INSERT, readEnvelope } from "./envelope.ts";
import { slicePage } from "./page_cursor.ts";
import type { RowFile } from "./row_layout.ts";

/** Where a file is. */
export type Locate = (file: LogFile) => { readonly store: ObjectStore; readonly key: string };

/**
 * How a file is brought: whole where the files of one row range fit the memory, otherwise by ranges of `window` bytes of which
 * the newest `keep` are held. Row groups are small, so a range covers many of them.
 */
export type FetchMode =
  | { readonly kind: "whole" }
  | { readonly kind: "ranges"; readonly window: number; readonly keep: number };

export interface OpenedFile {
  readonly what: string;
  /** The first row that is taken, and how many are. */
  readonly start: number;
  readonly rows: number;
  /** One Parquet file per data event; normally exactly one. */
  readonly tables: readonly ParquetTable[];
}

export interface GroupReaderOptions {
  readonly segmentId: bigint;
  readonly files: readonly RowFile[];
  /** Enveloped (V1) with the descriptor's field id to expect, or bare Parquet (V2). */
  readonly form: { readonly kind: "envelope"; readonly fieldId: bigint } | { readonly kind: "bare" };
  readonly locate: Locate;
  readonly mode: FetchMode;
  readonly signal: AbortSignal;
}

export class GroupReader {
  readonly #options: GroupReaderOptions;
  readonly #opened = new Map<number, Promise<OpenedFile>>();
  readonly #positions: number[] = [];

  constructor(options: GroupReaderOptions) {
    this.#options = options;
  }

  get files(): readonly RowFile[] {
    return this.#options.files;
  }

  /** The n-th file; the one behind it is fetched meanwhile. */
  open(index: number): Promise<OpenedFile> {
    const opened = this.#start(index);
    if (this.#options.mode.kind === "whole" && index + 1 < this.files.length) this.#start(index + 1);
    return opened;
  }

  /** Pages of one column through all files. `pick` finds the column in a file; undefined there means damage. */
  async *pages(
    pick: (table: ParquetTable) => ParquetColumn | undefined,
    onFile: (index: number, file: OpenedFile) => void = () => {},
  ): AsyncIterable<ParquetPage> {
    const reader = this.#positions.push(0) - 1;
    let first: ParquetColumn | undefined;
    for (let index = 0; index < this.files.length; index++) {
      this.#positions[reader] = index;
      this.#forget();
      const file = await this.open(index);
      onFile(index, file);
      for (const table of file.tables) {
        const column = pick(table);
        if (column === undefined) throw damaged(file.what, "lacks a column that its group has");
        first ??= column;
        if (column.type !== first.type || column.width !== first.width) {
          throw damaged(
            file.what,
            `holds ${column.type} (${column.width}) where the files before hold ${first.type} (${first.width})`,
          );
        }
        let rows = 0;
        for await (const page of column.pages()) {
          this.#options.signal.throwIfAborted();
          const from = Math.max(0, file.start - rows);
          const to = Math.min(page.rows, file.start + file.rows - rows);
          rows += page.rows;
          if (from < to) yield to - from === page.rows ? page : slicePage(page, from, to);
        }
        if (rows !== table.rows) {
          throw damaged(file.what, `has ${rows} values where its footer says ${table.rows} rows`);
        }
      }
    }
    this.#positions[reader] = this.files.length;
    this.#forget();
  }

  /** Lets go of files that every column has passed. */
  #forget(): void {
    const passed = Math.min(...this.#positions);
    for (const index of this.#opened.keys()) if (index < passed) this.#opened.delete(index);
  }

  #start(index: number): Promise<OpenedFile> {
    let opened = this.#opened.get(index);
    if (opened === undefined) {
      opened = this.#read(this.files[index]!);
      // Fetched ahead, it may fail before anybody waits for it.
      opened.catch(() => {});
      this.#opened.set(index, opened);
    }
    return opened;
  }

  async #read({ file, rows: part }: RowFile): Promise<OpenedFile> {
    const { segmentId, form, signal } = this.#options;
    const what = `${file.path} (segment ${segmentId})`;
    try {
      const source = await this.#fetch(file, what);
      const payloads = form.kind === "bare" ? [source] : await payloadsOf(source, form.fieldId, what);
      const tables: ParquetTable[] = [];
      for (const payload of payloads) tables.push(await openParquet(payload, what));
      const rows = tables.reduce((sum, table) => sum + table.rows, 0);
      if (file.entries > 0n && file.entries !== BigInt(rows)) {
        throw damaged(what, `has ${rows} rows where metadata says ${file.entries}`);
      }
      const start = part?.start ?? 0;
      const end = part?.end ?? rows;
      if (start > end || end > rows) {
        throw damaged(what, `has ${rows} rows where the manifest takes those from ${start} to ${end}`);
      }
      return { what, start, rows: end - start, tables };
    } catch (thrown) {
      signal.throwIfAborted();
      throw fileError(thrown, what);
    }
  }

  async #fetch(file: LogFile, what: string): Promise<ByteSource> {
    const { locate, mode, signal } = this.#options;
    const { store, key } = locate(file);
    if (mode.kind === "whole") return bytesSource(await store.get(key, undefined, signal));
    // Some releases store the size in memory as log_size, so the store is asked.
    const info = await store.head(key, signal);
    if (info === undefined) return bytesSource(await store.get(key, undefined, signal));
    if (info.size > BigInt(Number.MAX_SAFE_INTEGER)) throw damaged(what, `is ${info.size} bytes long`);
    const source = objectSource(store, key, Number(info.size), { window: mode.window, signal });
    return blockSource(source, mode.window, mode.keep);
  }
}

async function payloadsOf(source: ByteSource, fieldId: bigint, what: string): Promise<ByteSource[]> {
  const { descriptor, events } = await readEnvelope(source, what);
  if (descriptor.fieldId >= 0n && descriptor.fieldId !== fieldId) {
    throw damaged(what, `is of field ${descriptor.fieldId}, not ${fieldId}`);
  }
  if (events.some((event) => event.type !== EVENT_INSERT)) throw damaged(what, "is no insert log");
  return events.map((event) => event.payload);
}
