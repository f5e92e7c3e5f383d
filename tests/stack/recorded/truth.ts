/** The true rows of a recording against the rows that a sink holds. */
import { type Json, parseJson } from "../../../pipeline/json.ts";
import { type CollectionSchema, DataType, type FieldSchema } from "../../../pipeline/proto/gen/schema_pb.ts";
import { hexOfWkt } from "./wkt.ts";
import type { TrueRows } from "./recording.ts";

/** Column -> value, as the columns' `columnToJson` says it. */
export type HeldRow = Readonly<Record<string, Json>>;

export interface HeldCollection {
  readonly schema: CollectionSchema;
  /** Partition -> key -> row; all is in `""` where a key chooses the partition. */
  readonly partitions: ReadonlyMap<string, ReadonlyMap<bigint | string, HeldRow>>;
}

/** A sentence for each row that is missing, too much or of other content; none: the rows are the true ones. */
export function differences(truth: TrueRows, held: HeldCollection | undefined): string[] {
  const name = `${truth.db}.${truth.collection}`;
  if (held === undefined) return [`${name} is not there`];
  const columns = columnsOf(held.schema);
  const found: string[] = [];
  const left = new Map<string, HeldRow>();
  for (const [partition, rows] of held.partitions) {
    for (const [key, row] of rows) left.set(`${partition === "" ? "*" : partition}/${key}`, row);
  }
  for (const [partition, rows] of Object.entries(truth.partitions)) {
    for (const [key, row] of Object.entries(rows)) {
      const at = `${partition}/${key}`;
      const there = left.get(at);
      left.delete(at);
      if (there === undefined) {
        found.push(`${name} ${at} is missing`);
        continue;
      }
      const dynamic = Object.fromEntries(Object.entries(row).filter(([column]) => !columns.names.has(column)));
      for (const { field, nested } of columns.fields) {
        const wanted = field.isDynamic
          ? sorted(dynamic as Json)
          : nested === undefined
          ? trueValue(field, row[field.name] ?? defaultOf(field))
          : trueNested(field, nested, row);
        const is = heldValue(field, there[field.name] ?? (field.isDynamic ? "{}" : defaultOf(field)));
        if (text(wanted) !== text(is)) {
          found.push(`${name} ${at} ${field.name}: expected ${text(wanted)}, found ${text(is)}`);
        }
      }
    }
  }
  for (const at of left.keys()) found.push(`${name} ${at} should not be there`);
  return found;
}

interface ComparedColumn {
  readonly field: FieldSchema;
  /** Of a field of a struct array: the array's name and its own name in it. */
  readonly nested: { readonly outer: string; readonly inner: string } | undefined;
}

/** Without what the server computes. */
function columnsOf(schema: CollectionSchema): { fields: readonly ComparedColumn[]; names: ReadonlySet<string> } {
  const fields: ComparedColumn[] = schema.fields
    .filter(({ isFunctionOutput, name }) => !isFunctionOutput && name !== "RowID" && name !== "Timestamp")
    .map((field) => ({ field, nested: undefined }));
  for (const { name: outer, fields: own } of schema.structArrayFields) {
    for (const field of own) {
      fields.push({ field, nested: { outer, inner: /\[(.*)\]$/.exec(field.name)?.[1] ?? field.name } });
    }
  }
  const names = new Set(schema.fields.map(({ name }) => name));
  for (const { name } of schema.structArrayFields) names.add(name);
  return { fields, names };
}

function trueNested(field: FieldSchema, { outer, inner }: { outer: string; inner: string }, row: Record<string, Json>) {
  const items = (row[outer] ?? []) as Record<string, Json>[];
  const values = items.map((item) => item[inner] ?? null);
  return field.dataType === DataType.ArrayOfVector
    ? values.map((value) => floats(value))
    : values.map((value) => scalar(field.elementType, value));
}

/** What the client sent, in the form of {@link heldValue}. */
function trueValue(field: FieldSchema, value: Json): Json {
  if (value === null) return null;
  switch (field.dataType) {
    case DataType.JSON:
      return sorted(value);
    case DataType.Array:
      return (value as Json[]).map((item) => scalar(field.elementType, item));
    case DataType.FloatVector:
      return floats(value);
    case DataType.SparseFloatVector:
      return Object.entries(value as Record<string, number>)
        .map(([index, weight]): [number, number] => [Number(index), Math.fround(weight)]).sort(([a], [b]) => a - b);
    case DataType.Timestamptz:
      return typeof value === "string" && !/^-?\d+$/.test(value) ? String(Date.parse(value) * 1000) : String(value);
    case DataType.Geometry:
      return hexOfWkt(value as string);
    default:
      if (typeof value === "object" && "hex" in value) return (value as { hex: string }).hex;
      return scalar(field.dataType, value);
  }
}

function heldValue(field: FieldSchema, value: Json): Json {
  if (value === null) return null;
  switch (field.dataType) {
    case DataType.JSON:
      return sorted(parseJson(value as string));
    case DataType.Array:
      return (value as Json[]).map((item) => scalar(field.elementType, item));
    case DataType.FloatVector:
      return floats(value);
    case DataType.ArrayOfVector:
      return (value as Json[]).map((item) => floats(item));
    case DataType.SparseFloatVector:
      return (value as [number, number][]).map(([index, weight]) => [index, Math.fround(weight)]);
    default:
      return scalar(field.dataType, value);
  }
}

function scalar(type: DataType, value: Json): Json {
  if (value === null) return null;
  switch (type) {
    case DataType.Int64:
    case DataType.Timestamptz:
      return String(value);
    case DataType.Float:
      return Math.fround(Number(value));
    case DataType.Double:
      return Number(value);
    default:
      return value;
  }
}

function floats(value: Json): Json {
  return (value as number[]).map((item) => Math.fround(Number(item)));
}

/** What the server puts where a client sends nothing, or null. */
function defaultOf({ defaultValue }: FieldSchema): Json {
  const value = defaultValue?.data.value;
  if (value === undefined) return null;
  return typeof value === "bigint" ? String(value) : value as Json;
}

/** Keys in order; integers beyond 2^53 as text. */
function sorted(value: Json): Json {
  if (typeof value === "bigint") return Number.isSafeInteger(Number(value)) ? Number(value) : String(value);
  if (Array.isArray(value)) return value.map(sorted);
  if (value === null || typeof value !== "object") return value;
  return Object.fromEntries(
    Object.entries(value).sort(([a], [b]) => a < b ? -1 : 1).map(([key, item]) => [key, sorted(item)]),
  );
}

function text(value: Json): string {
  return JSON.stringify(value, (_key, item) => typeof item === "bigint" ? `${item}` : item);
}
