/** How long the values of a column are, where a schema can limit that. */
import type { Column } from "../model/mod.ts";
import { DataType } from "../proto/gen/schema_pb.ts";
import { columnOfFrame } from "./decode.ts";
import { parseScalarField } from "./nested.ts";

/** Bytes of each value of a text or JSON column; undefined for columns of other types. A null has 0. */
export function byteLengths(column: Column): number[] | undefined {
  const { data, type, valid } = column;
  if (data.kind !== "utf8" && (data.kind !== "bytes" || type !== DataType.JSON)) return undefined;
  return data.values.map((value, row) => valid?.[row] === 0 ? 0 : value.length);
}

export interface ArrayLength {
  readonly elements: number;
  /** Bytes of the longest element that is text; 0 for elements of other types. */
  readonly longest: number;
}

/** Of each value of an Array column; undefined for columns of other types. Throws `damaged`. */
export function arrayLengths(column: Column): ArrayLength[] | undefined {
  const { data, type, elementType, valid } = column;
  if (data.kind !== "bytes" || type !== DataType.Array) return undefined;
  return data.values.map((value, row) => {
    if (valid?.[row] === 0) return { elements: 0, longest: 0 };
    const frame = parseScalarField(value, elementType);
    if (frame.layout === undefined) return { elements: 0, longest: 0 };
    const elements = columnOfFrame(frame, frame.slots).data;
    const longest = elements.kind === "utf8"
      ? elements.values.reduce((max, { length }) => length > max ? length : max, 0)
      : 0;
    return { elements: frame.slots, longest };
  });
}

/** Rows of a float vector column that hold a number which is none: NaN or an infinity. */
export function rowsWithoutNumber(column: Column): number[] {
  const { data, type, dim } = column;
  if (data.kind !== "fixed" || type !== DataType.FloatVector || dim === 0) return [];
  const view = new DataView(data.bytes.buffer, data.bytes.byteOffset, data.bytes.length);
  const found: number[] = [];
  for (let row = 0; (row + 1) * data.width <= data.bytes.length; row++) {
    for (let i = 0; i < dim; i++) {
      if (Number.isFinite(view.getFloat32(row * data.width + i * 4, true))) continue;
      found.push(row);
      break;
    }
  }
  return found;
}
