/**
 * Columns as a client sends them, from columns as Milvus' log has them, and back. The log has a slot for every null scalar,
 * flags only where a field is nullable, geometry as binary and the fields of an array of structs one by one; a proxy of 2.5
 * and later wants null slots left out, and flags for each field that is nullable or has a default (2.5 refuses a column
 * without, 2.6 and 3.0 take both forms), one of 2.6 and later geometry as text and structs in one column
 * (internal/proxy/validate_util.go and util.go, checkAndFlattenStructFieldData).
 */
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import {
  compactNulls,
  countValues,
  fillNulls,
  geometryToBinary,
  geometryToText,
  withoutFlags,
} from "../../pipeline/columns/mod.ts";
import type { Column } from "../../pipeline/model/mod.ts";
import { TidemarkError } from "../../pipeline/errors.ts";
import { DataType, FieldDataSchema, type FieldSchema } from "../../pipeline/proto/gen/schema_pb.ts";
import { type ColumnHead, columnHead } from "./splice.ts";

/** What the target's own schema says of a column. */
export interface TargetField {
  readonly type: DataType;
  readonly nullable: boolean;
  readonly hasDefault: boolean;
}

export function targetField({ dataType, nullable, defaultValue }: FieldSchema): TargetField {
  return { type: dataType, nullable, hasDefault: defaultValue?.data.case !== undefined };
}

/**
 * `field`: undefined for the dynamic column. The bytes themselves where nothing is to be changed. Throws `refused` for nulls
 * in a column that takes none.
 */
export function clientForm(
  { bytes, name, hasFlags }: ColumnHead,
  rows: number,
  field: TargetField | undefined,
): Uint8Array {
  // A null and an empty object are the same there, and only newer servers know flags of it.
  if (field === undefined) return hasFlags ? fillNulls(bytes, rows, EMPTY_OBJECT).bytes : bytes;
  const text = field.type === DataType.Geometry ? geometryToText(bytes, rows) : bytes;
  if (field.nullable || field.hasDefault) return compactNulls(text, rows, true);
  if (!hasFlags) return text;
  const nulls = rows - countValues(text, rows);
  if (nulls === 0) return withoutFlags(text);
  throw new TidemarkError("refused", `${nulls} rows have a null in column ${name}, which takes none on the target`, {
    hint: "Let Tidemark create the target's collection, or say what stands for nulls: transforms.unsupported: fill.",
  });
}

const EMPTY_OBJECT: Column = {
  fieldId: 0n,
  name: "",
  type: DataType.JSON,
  elementType: DataType.None,
  dim: 0,
  isDynamic: true,
  valid: undefined,
  data: { kind: "bytes", values: [new TextEncoder().encode("{}")] },
};

/** `items[name]`, as the log names a field of an array of structs. */
export function nestedName(name: string): { readonly outer: string; readonly inner: string } | undefined {
  const match = /^(.+?)\[(.*)\]$/s.exec(name);
  return match === null ? undefined : { outer: match[1]!, inner: match[2]! };
}

/** The fields of an array of structs, `items[name]` and `items[emb]`, as the one column `items` that a client sends. */
export function withStructs(columns: readonly Uint8Array[], structs: ReadonlySet<string>): readonly Uint8Array[] {
  if (structs.size === 0) return columns;
  const outerOf = (bytes: Uint8Array) => {
    const outer = nestedName(columnHead(bytes).name)?.outer ?? "";
    return structs.has(outer) ? outer : "";
  };
  return [...Map.groupBy(columns, outerOf)].flatMap(([outer, own]) => outer === "" ? own : [structColumn(outer, own)]);
}

function structColumn(outer: string, columns: readonly Uint8Array[]): Uint8Array {
  const fields = columns.map((bytes) => {
    const field = fromBinary(FieldDataSchema, bytes);
    field.fieldName = nestedName(field.fieldName)?.inner ?? field.fieldName;
    return field;
  });
  const message = create(FieldDataSchema, {
    type: DataType.ArrayOfStruct,
    fieldName: outer,
    field: { case: "structArrays", value: { fields } },
  });
  return toBinary(FieldDataSchema, message);
}

/** Columns of an answer in the form that the log has. */
export function logForm(fieldsData: readonly Uint8Array[], rows: number): Uint8Array[] {
  return fieldsData.flatMap((bytes) => {
    const { type } = columnHead(bytes);
    if (type === DataType.Geometry) return [geometryToBinary(bytes, rows)];
    if (type !== DataType.ArrayOfStruct) return [bytes];
    const { fieldName, field } = fromBinary(FieldDataSchema, bytes);
    if (field.case !== "structArrays") return [];
    return field.value.fields.map((inner) => {
      if (nestedName(inner.fieldName) === undefined) inner.fieldName = `${fieldName}[${inner.fieldName}]`;
      return toBinary(FieldDataSchema, inner);
    });
  });
}
