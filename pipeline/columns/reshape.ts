/** Changes to which columns there are and what they are called; the values stay encoded. */
import { geometryOfText, textOfGeometry } from "./geometry.ts";
import { describeFieldData, type FieldHead, formatFrame, parseFrame } from "./frame.ts";
import { expansion, itemsOf, slotsOf } from "./decode.ts";
import { isVector, type Layout, layoutOf, layoutOfType } from "./layout.ts";
import { selectFrame } from "./select.ts";
import { broken, BYTES, sizeOf32, WireWriter } from "./wire.ts";

/** Leaves out every column that `drop` names: an autoID key to be made anew, the output of a function. */
export function dropColumns(fieldsData: readonly Uint8Array[], drop: (head: FieldHead) => boolean): Uint8Array[] {
  return fieldsData.filter((bytes) => !drop(describeFieldData(bytes)));
}

export interface NewHead {
  readonly name?: string;
  readonly fieldId?: bigint;
}

/** Gives columns another name or field id; `undefined` leaves one as it is, byte for byte. */
export function renameColumns(
  fieldsData: readonly Uint8Array[],
  rename: (head: FieldHead) => NewHead | undefined,
): Uint8Array[] {
  return fieldsData.map((bytes) => {
    const change = rename(describeFieldData(bytes));
    if (change === undefined) return bytes;
    const frame = parseFrame(bytes);
    return formatFrame({ ...frame, name: change.name ?? frame.name, fieldId: change.fieldId ?? frame.fieldId });
  });
}

/**
 * The form in which a server of 2.5 and later takes nulls from a client: scalars compact, where its log has a slot for
 * every row (internal/proxy/validate_util.go, fillWithNullValueImpl: "the length of field is wrong" otherwise).
 * `flagged`: give the column validity flags even if all rows are valid, as such a server wants them for a field with a
 * default value. A column that needs no change is returned as it is.
 */
export function compactNulls(fieldData: Uint8Array, rows: number, flagged = false): Uint8Array {
  const frame = parseFrame(fieldData);
  const { valid, layout } = frame;
  if (valid === undefined) {
    return flagged ? formatFrame({ ...frame, valid: new Uint8Array(rows).fill(1) }) : fieldData;
  }
  if (valid.length !== rows) throw broken(`column ${frame.name} has ${valid.length} validity flags for ${rows} rows`);
  // A proxy takes no column without a list of values, not even one of nulls alone.
  if (layout === undefined) return formatFrame({ ...frame, layout: layoutOfType(frame.type, frame.name), payload: [] });
  if (isVector(frame.type) || !valid.includes(0)) return fieldData;
  const slots = slotsOf(frame, layout, rows);
  if (expansion(frame, slots, rows)) return fieldData;
  const keep = new Uint32Array(rows);
  let count = 0;
  for (let row = 0; row < rows; row++) if (valid[row] !== 0) keep[count++] = row;
  const picked = selectFrame({ ...frame, valid: undefined }, rows, keep.subarray(0, count));
  return formatFrame({ ...picked, valid });
}

/** A column of which all rows are valid, without saying so. */
export function withoutFlags(fieldData: Uint8Array): Uint8Array {
  return formatFrame({ ...parseFrame(fieldData), valid: undefined });
}

/** A column of geometries as text, from one as binary: the form in which a client sends it. Others are returned as they are. */
export function geometryToText(fieldData: Uint8Array, rows: number): Uint8Array {
  return recoded(fieldData, rows, GEOMETRY, GEOMETRY_TEXT, (wkb) => new TextEncoder().encode(textOfGeometry(wkb)));
}

/** The other way: the form in which the log has it. */
export function geometryToBinary(fieldData: Uint8Array, rows: number): Uint8Array {
  return recoded(fieldData, rows, GEOMETRY_TEXT, GEOMETRY, (text) => geometryOfText(new TextDecoder().decode(text)));
}

/** geometry_data and geometry_wkt_data. */
const GEOMETRY = layoutOf(3, 10)!;
const GEOMETRY_TEXT = layoutOf(3, 12)!;

function recoded(
  fieldData: Uint8Array,
  rows: number,
  from: Layout,
  to: Layout,
  code: (value: Uint8Array) => Uint8Array,
): Uint8Array {
  const frame = parseFrame(fieldData);
  const { valid } = frame;
  if (frame.layout !== from) return fieldData;
  const slots = slotsOf(frame, from, rows);
  const compact = expansion(frame, slots, rows);
  const items = itemsOf(frame.payload, slots).map((value, slot) =>
    // The slot of a null holds nothing.
    !compact && valid?.[slot] === 0 ? EMPTY : code(value)
  );
  const payload = items.map((item) => {
    const out = new WireWriter(1 + sizeOf32(item.length) + item.length);
    out.varint32((to.values << 3) | BYTES);
    out.prefixed(item);
    return out.bytes;
  });
  return formatFrame({ ...frame, layout: to, payload });
}

const EMPTY = new Uint8Array();
