/** Reads a column's pages in pieces of the caller's choice. */
import { leave } from "../../pipeline/leave.ts";
import { concatPages, type PageValues, type ParquetPage } from "../../stores/mod.ts";

/** Holds the pages of one piece, and the rest of the last page; nothing else is kept. */
export class PageCursor {
  #held: ParquetPage[] = [];
  #rows = 0;
  #ended = false;
  readonly #pages: AsyncIterator<ParquetPage>;

  constructor(pages: AsyncIterable<ParquetPage>) {
    this.#pages = pages[Symbol.asyncIterator]();
  }

  /** Reads until `rows` rows are there or the column ends; says how many there are. */
  async fill(rows: number): Promise<number> {
    while (this.#rows < rows && !this.#ended) {
      const next = await this.#pages.next();
      if (next.done) {
        this.#ended = true;
      } else {
        this.#held.push(next.value);
        this.#rows += next.value.rows;
      }
    }
    return this.#rows;
  }

  /** The next `rows` rows, at least one, which must have been filled. */
  take(rows: number): ParquetPage {
    const parts: ParquetPage[] = [];
    for (let left = rows; left > 0;) {
      const page = this.#held[0]!;
      if (page.rows <= left) {
        parts.push(page);
        this.#held.shift();
        left -= page.rows;
      } else {
        parts.push(slicePage(page, 0, left));
        this.#held[0] = slicePage(page, left, page.rows);
        left = 0;
      }
    }
    this.#rows -= rows;
    return concatPages(parts);
  }

  close(): Promise<void> {
    return leave(this.#pages);
  }
}

/** Rows [start, end) of a page, as views. */
export function slicePage(page: ParquetPage, start: number, end: number): ParquetPage {
  return { rows: end - start, valid: page.valid?.subarray(start, end), values: sliceValues(page.values, start, end) };
}

function sliceValues(values: PageValues, start: number, end: number): PageValues {
  switch (values.kind) {
    case "fixed":
      return { ...values, bytes: values.bytes.subarray(start * values.width, end * values.width) };
    case "bytes":
      return { kind: "bytes", values: values.values.slice(start, end) };
    case "bool":
      return { kind: "bool", values: values.values.subarray(start, end) };
    case "int32":
      return { kind: "int32", values: values.values.subarray(start, end) };
    case "int64":
      return { kind: "int64", values: values.values.subarray(start, end) };
    case "float":
      return { kind: "float", values: values.values.subarray(start, end) };
    case "double":
      return { kind: "double", values: values.values.subarray(start, end) };
  }
}
