/**
 * Which rows a target cannot take, by its schema: asked only once it has refused a request, so that nothing is looked
 * into in the ordinary case. Bulk imports do not check lengths (2.3.5), so a source can hold rows that an insert refuses.
 */
import { arrayLengths, byteLengths, decodeFieldData, rowsWithoutNumber } from "../../pipeline/columns/mod.ts";
import { DataType, type FieldSchema } from "../../pipeline/proto/gen/schema_pb.ts";

/** 0: without a limit. */
export interface FieldLimits {
  /** Bytes of a text, or of each text in an array. */
  readonly maxLength: number;
  /** Elements of an array. */
  readonly maxCapacity: number;
}

/** A row that a limit of the target excludes. */
export interface Unfit {
  readonly row: number;
  readonly field: string;
  /** `json` and `number`: the target may be configured, or made, to take it all the same. */
  readonly kind: "length" | "capacity" | "element" | "json" | "number";
  readonly found: number;
  readonly limit: number;
}

/** Milvus' default of `common.JSONMaxLength`; it counts for the dynamic field, too. */
const JSON_MAX_LENGTH = 65_536;

export function fieldLimits({ typeParams }: Pick<FieldSchema, "typeParams">): FieldLimits {
  const limit = (name: string) => Number(typeParams.find(({ key }) => key === name)?.value ?? 0);
  return { maxLength: limit("max_length"), maxCapacity: limit("max_capacity") };
}

/** At most one a row, in the order of the rows. Throws `damaged` for columns that cannot be read. */
export function unfitRows(
  columns: readonly Uint8Array[],
  rows: number,
  limits: ReadonlyMap<string, FieldLimits>,
): Unfit[] {
  const found = new Map<number, Unfit>();
  const note = (unfit: Unfit) => void (found.has(unfit.row) || found.set(unfit.row, unfit));
  for (const bytes of columns) {
    const column = decodeFieldData(bytes, rows);
    const field = column.isDynamic ? column.name || "$meta" : column.name;
    const { maxLength = 0, maxCapacity = 0 } = limits.get(column.name) ?? {};
    byteLengths(column)?.forEach((length, row) => {
      if (column.type === DataType.JSON) {
        if (length > JSON_MAX_LENGTH) note({ row, field, kind: "json", found: length, limit: JSON_MAX_LENGTH });
      } else if (maxLength > 0 && length > maxLength) {
        note({ row, field, kind: "length", found: length, limit: maxLength });
      }
    });
    arrayLengths(column)?.forEach(({ elements, longest }, row) => {
      if (maxCapacity > 0 && elements > maxCapacity) {
        note({ row, field, kind: "capacity", found: elements, limit: maxCapacity });
      } else if (maxLength > 0 && longest > maxLength) {
        note({ row, field, kind: "element", found: longest, limit: maxLength });
      }
    });
    for (const row of rowsWithoutNumber(column)) note({ row, field, kind: "number", found: 0, limit: 0 });
  }
  return [...found.values()].sort((a, b) => a.row - b.row);
}

/** The end of a sentence about the row. */
export function unfitText({ field, kind, found, limit }: Unfit): string {
  switch (kind) {
    case "length":
      return `field ${field} has ${found} bytes, the target's max_length is ${limit}`;
    case "capacity":
      return `field ${field} has ${found} elements, the target's max_capacity is ${limit}`;
    case "element":
      return `an element of field ${field} has ${found} bytes, the target's max_length is ${limit}`;
    case "json":
      return `field ${field} has ${found} bytes of JSON, the target takes ${limit}`;
    case "number":
      return `field ${field} holds a value that is not a number, or infinite`;
  }
}
