/**
 * Rows of a list column from its pages. A row's cell is the bytes of its elements, one behind the other; a page may begin
 * in the middle of a row, so the last row of a page waits for the next page.
 *
 * Repetition: 0 begins a row, 1 goes on with it. Definition, outer list required: 0 empty list, then (where elements are
 * optional) 1 null element, 2 element; outer list optional: one more in front, 0 = null row.
 */
import type { ParquetPage } from "./parquet_values.ts";

export interface ListShape {
  readonly width: number;
  readonly optional: boolean;
  readonly elementOptional: boolean;
}

/** Definition level of an element that is there. */
export function maxDefinition({ optional, elementOptional }: ListShape): number {
  return 1 + (optional ? 1 : 0) + (elementOptional ? 1 : 0);
}

const EMPTY = new Uint8Array();

export class ListRows {
  readonly #shape: ListShape;
  /** The last row so far, and whether it is not null. */
  #open: { cell: Uint8Array; valid: boolean } | undefined;

  constructor(shape: ListShape) {
    this.#shape = shape;
  }

  /**
   * Takes the levels and elements of one page; gives the rows that are complete. Throws a plain error for levels that are
   * none, or a null element.
   */
  push(repetition: Uint8Array, definition: Uint8Array, elements: Uint8Array): ParquetPage {
    const { width, optional } = this.#shape;
    const most = maxDefinition(this.#shape);
    const empty = optional ? 1 : 0;
    const rows = new Rows();
    let open = this.#open;
    /** Where the open row's elements of this page begin. */
    let start = 0;
    let at = 0;
    const close = () => {
      if (open === undefined) return;
      rows.add(joined(open.cell, elements.subarray(start, at)), open.valid);
    };
    for (let i = 0; i < repetition.length; i++) {
      const level = definition[i]!;
      const begins = repetition[i] === 0;
      if (begins) {
        close();
        open = { cell: EMPTY, valid: level >= empty };
        start = at;
      } else if (open === undefined || level <= empty) throw new Error("a list goes on where none was begun");
      if (level <= empty) continue;
      if (level !== most) throw new Error(level < most ? "a list has a null element" : `definition level ${level}`);
      at += width;
    }
    if (at !== elements.length) throw new Error(`${elements.length} bytes of elements where the levels count ${at}`);
    this.#open = open === undefined
      ? undefined
      : { cell: joined(open.cell, elements.subarray(start, at)), valid: open.valid };
    return rows.page();
  }

  /** The row that no page followed. */
  end(): ParquetPage {
    const rows = new Rows();
    if (this.#open !== undefined) rows.add(this.#open.cell, this.#open.valid);
    this.#open = undefined;
    return rows.page();
  }
}

class Rows {
  readonly #cells: Uint8Array[] = [];
  readonly #nulls: number[] = [];

  add(cell: Uint8Array, valid: boolean): void {
    if (!valid) this.#nulls.push(this.#cells.length);
    this.#cells.push(cell);
  }

  page(): ParquetPage {
    const rows = this.#cells.length;
    const valid = this.#nulls.length === 0 ? undefined : new Uint8Array(rows).fill(1);
    for (const row of this.#nulls) valid![row] = 0;
    return { rows, valid, values: { kind: "bytes", values: this.#cells } };
  }
}

function joined(before: Uint8Array, behind: Uint8Array): Uint8Array {
  if (before.length === 0) return behind;
  if (behind.length === 0) return before;
  const out = new Uint8Array(before.length + behind.length);
  out.set(before);
  out.set(behind, before.length);
  return out;
}
