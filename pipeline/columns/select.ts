/** Some rows of encoded columns: runs of packed values are copied, nothing is decoded. */
import { expansion, slotsOf } from "./decode.ts";
import { type FieldFrame, formatFrame, parseFrame } from "./frame.ts";
import type { Layout } from "./layout.ts";
import { forEachRun, type RowSelection, selectedRows, selectValid, validBefore } from "./rows.ts";
import { broken, BYTES, WireReader } from "./wire.ts";

/** The rows of `keep`, in its order, of columns that have `rows` rows. Throws `damaged`. */
export function selectRows(
  fieldsData: readonly Uint8Array[],
  rows: number,
  keep: Uint32Array | { readonly start: number; readonly end: number },
): Uint8Array[] {
  checkSelection(keep, rows);
  return fieldsData.map((bytes) => formatFrame(selectFrame(parseFrame(bytes), rows, keep)));
}

export function selectFrame(frame: FieldFrame, rows: number, keep: Exclude<RowSelection, undefined>): FieldFrame {
  const { layout, valid } = frame;
  if (valid !== undefined && valid.length !== rows) {
    throw broken(`column ${frame.name} has ${valid.length} validity flags for ${rows} rows`);
  }
  if (layout === undefined) {
    if (rows > 0 && (valid === undefined || valid.includes(1))) throw broken(`column ${frame.name} has no values`);
    return { ...frame, valid: valid && selectValid(valid, keep) };
  }
  const slots = slotsOf(frame, layout, rows);
  const compact = expansion(frame, slots, rows);
  const whole = frame.payload.length === 1 ? frame.payload[0]! : joined(frame.payload);
  const bounds = boundsOf(whole, layout, slots);
  const slotOf = compact ? validBefore(valid!) : undefined;
  const payload: Uint8Array[] = [];
  forEachRun(keep, rows, (start, end) => {
    const from = slotOf === undefined ? start : slotOf[start]!;
    const to = slotOf === undefined ? end : slotOf[end]!;
    if (to > from) payload.push(whole.subarray(bounds(from), bounds(to)));
  });
  return { ...frame, valid: valid && selectValid(valid, keep), payload };
}

/** Where in the payload a slot begins. */
function boundsOf(whole: Uint8Array, layout: Layout, slots: number): (slot: number) => number {
  if (layout.form !== "varint" && layout.form !== "items") {
    const width = slots === 0 ? 0 : whole.length / slots;
    return (slot) => slot * width;
  }
  const starts = new Uint32Array(slots + 1);
  let at = 1;
  if (layout.form === "varint") {
    for (let pos = 0; pos < whole.length; pos++) if (whole[pos]! < 128) starts[at++] = pos + 1;
  } else {
    const reader = new WireReader(whole);
    while (!reader.done) {
      reader.uint32();
      reader.skip(BYTES);
      starts[at++] = reader.pos;
    }
  }
  return (slot) => starts[slot]!;
}

function joined(pieces: readonly Uint8Array[]): Uint8Array {
  const out = new Uint8Array(pieces.reduce((sum, piece) => sum + piece.length, 0));
  let at = 0;
  for (const piece of pieces) {
    out.set(piece, at);
    at += piece.length;
  }
  return out;
}

function checkSelection(keep: Exclude<RowSelection, undefined>, rows: number): void {
  const count = selectedRows(keep, rows);
  if (!(keep instanceof Uint32Array)) {
    if (keep.start < 0 || keep.end > rows) throw new RangeError(`Rows ${keep.start} to ${keep.end} of ${rows}`);
    return;
  }
  for (let i = 0; i < count; i++) if (keep[i]! >= rows) throw new RangeError(`Row ${keep[i]} of ${rows}`);
}
