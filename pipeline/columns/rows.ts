/** Which rows of a column are meant, as runs: most selections are long runs, and runs are copied as memory. */

/** All rows, rows [start, end), or the rows listed, in that order. */
export type RowSelection = undefined | { readonly start: number; readonly end: number } | Uint32Array;

export function selectedRows(selection: RowSelection, rows: number): number {
  if (selection === undefined) return rows;
  return selection instanceof Uint32Array ? selection.length : Math.max(0, selection.end - selection.start);
}

/** Calls `run` with [start, end) of consecutive selected rows, in order. */
export function forEachRun(selection: RowSelection, rows: number, run: (start: number, end: number) => void): void {
  if (selection === undefined) {
    if (rows > 0) run(0, rows);
    return;
  }
  if (!(selection instanceof Uint32Array)) {
    if (selection.end > selection.start) run(selection.start, selection.end);
    return;
  }
  for (let i = 0; i < selection.length;) {
    const start = selection[i]!;
    let end = start + 1;
    for (i++; i < selection.length && selection[i] === end; i++) end++;
    run(start, end);
  }
}

/** The selected rows' validity flags. */
export function selectValid(valid: Uint8Array, selection: RowSelection): Uint8Array {
  const out = new Uint8Array(selectedRows(selection, valid.length));
  let at = 0;
  forEachRun(selection, valid.length, (start, end) => {
    for (let row = start; row < end; row++) out[at++] = valid[row] === 0 ? 0 : 1;
  });
  return out;
}

/** `slots[row]` = number of valid rows before `row`; one entry more than there are rows. */
export function validBefore(valid: Uint8Array): Uint32Array {
  const slots = new Uint32Array(valid.length + 1);
  let count = 0;
  for (let row = 0; row < valid.length; row++) {
    slots[row] = count;
    if (valid[row] !== 0) count++;
  }
  slots[valid.length] = count;
  return slots;
}

export function countValid(valid: Uint8Array): number {
  let count = 0;
  for (let row = 0; row < valid.length; row++) if (valid[row] !== 0) count++;
  return count;
}
