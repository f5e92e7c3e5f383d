/** Changes to which columns there are and what they are called; the values stay encoded. */
import { describeFieldData, type FieldHead, formatFrame, parseFrame } from "./frame.ts";
import { expansion, slotsOf } from "./decode.ts";
import { isVector } from "./layout.ts";
import { selectFrame } from "./select.ts";
import { broken } from "./wire.ts";

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
  if (layout === undefined || isVector(frame.type) || !valid.includes(0)) return fieldData;
  const slots = slotsOf(frame, layout, rows);
  if (expansion(frame, slots, rows)) return fieldData;
  const keep = new Uint32Array(rows);
  let count = 0;
  for (let row = 0; row < rows; row++) if (valid[row] !== 0) keep[count++] = row;
  const picked = selectFrame({ ...frame, valid: undefined }, rows, keep.subarray(0, count));
  return formatFrame({ ...picked, valid });
}
