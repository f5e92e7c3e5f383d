/**
 * What a Milvus proxy checks of a request before it takes it, by its release: names decide and ids are ignored; how nulls,
 * defaults, geometry, arrays of structs and generated columns must be sent. From internal/proxy/{util,validate_util}.go and
 * nullutil.go of 2.3 to 3.0, and from what servers of 2.6.19 and 3.0.0 answered.
 */
import { clone, create, toBinary } from "@bufbuild/protobuf";
import {
  decodeFieldData,
  DEFAULT_FILL,
  encodeColumn,
  fillColumn,
  fillNulls,
  geometryToBinary,
} from "../../../pipeline/columns/mod.ts";
import type { InsertRequest } from "../../../pipeline/proto/gen/milvus_pb.ts";
import {
  type CollectionSchema,
  CollectionSchemaSchema,
  DataType,
  type FieldData,
  FieldDataSchema,
  type FieldSchema,
  FieldSchemaSchema,
  FunctionType,
} from "../../../pipeline/proto/gen/schema_pb.ts";

/** Thrown for what a proxy refuses. 1100: invalid parameter; 200: no such partition. */
export class Refusal extends Error {
  constructor(readonly code: number, message: string) {
    super(message);
  }
}

/** major * 100 + minor, and the patch. */
export interface Release {
  readonly number: number;
  readonly patch: number;
}

export function releaseOf(version: string): Release {
  const [, major, minor, patch] = /(\d+)\.(\d+)\.(\d+)/.exec(version)!;
  return { number: Number(major) * 100 + Number(minor), patch: Number(patch) };
}

const SINCE: readonly (readonly [number, readonly DataType[]])[] = [
  [203, [DataType.Array]],
  [204, [DataType.Float16Vector, DataType.BFloat16Vector, DataType.SparseFloatVector]],
  [206, [DataType.Int8Vector, DataType.Geometry, DataType.Timestamptz, DataType.ArrayOfVector, DataType.Text]],
];
const JSON_MAX_LENGTH = 65_536;

const invalid = (message: string): never => {
  throw new Refusal(1100, message);
};
const isVector = (type: DataType) => type >= 100 && type < 200;
const param = ({ typeParams }: FieldSchema, key: string) =>
  Number(typeParams.find((one) => one.key === key)?.value ?? 0);

/** The schema as such a server keeps it: what it does not know of it, an old one drops without a word. */
export function createdSchema(asked: CollectionSchema, { number, patch }: Release): CollectionSchema {
  const schema = clone(CollectionSchemaSchema, asked);
  for (const [since, types] of SINCE) {
    const field = schema.fields.find(({ dataType }) => types.includes(dataType));
    if (number < since && field !== undefined) invalid(`data type ${DataType[field.dataType]} is not supported`);
  }
  const vectors = schema.fields.filter(({ dataType }) => isVector(dataType));
  if (vectors.length === 0 && schema.structArrayFields.length === 0) invalid("schema does not contain vector field");
  if (number < 204 && vectors.length > 1) invalid("multiple vector fields is not supported");
  if (number >= 204 && vectors.length > 10) invalid("maximum vector field's number should be limited to 10");
  for (const field of schema.fields) {
    if (number < 205) field.nullable = false;
    if (field.nullable && field.isPrimaryKey) invalid("primary field not support null");
    if (field.nullable && isVector(field.dataType) && !(number >= 300 || number === 206 && patch >= 19)) {
      invalid(`vector type not support null, type:${DataType[field.dataType]}, name:${field.name}`);
    }
    field.isFunctionOutput = number >= 205 && schema.functions.some((one) => one.outputFieldNames.includes(field.name));
  }
  if (number < 205) schema.functions = [];
  if (number < 206) schema.structArrayFields = [];
  for (const { name, fields } of schema.structArrayFields) {
    for (const field of fields) {
      if (field.name.includes("[")) invalid(`invalid field name ${field.name} in struct ${name}`);
      field.name = `${name}[${field.name}]`;
    }
  }
  if (schema.enableDynamicField) {
    schema.fields.push(create(FieldSchemaSchema, { name: "$meta", dataType: DataType.JSON, isDynamic: true }));
  }
  [...schema.fields, ...schema.structArrayFields.flatMap(({ fields }) => fields)].forEach((field, at) => {
    field.fieldID = BigInt(100 + at);
  });
  return schema;
}

type Mutation = Pick<InsertRequest, "fieldsData" | "numRows" | "partitionName" | "schemaTimestamp">;

export interface Known {
  readonly schema: CollectionSchema;
  readonly partitions: ReadonlySet<string>;
  readonly updated: bigint;
}

/** The columns as the server stores them, in the form of its log. Throws {@link Refusal}. */
export function takenColumns(
  mutation: Mutation,
  { schema, partitions, updated }: Known,
  isUpsert: boolean,
  release: Release,
): Uint8Array[] {
  const rows = mutation.numRows;
  if (rows <= 0) invalid("num_rows should be greater than 0");
  if (release.number >= 206 && mutation.schemaTimestamp !== 0n && mutation.schemaTimestamp !== updated) {
    throw new Refusal(109, "collection schema mismatch");
  }
  if (schema.fields.some(({ isPartitionKey }) => isPartitionKey)) {
    if (mutation.partitionName !== "") {
      invalid("not support manually specifying the partition names if partition key mode is used");
    }
  } else if (!partitions.has(mutation.partitionName || "_default")) {
    throw new Refusal(200, `partition not found[partition=${mutation.partitionName}]`);
  }
  if (isUpsert && release.number < 205 && schema.fields.some(({ isPrimaryKey, autoID }) => isPrimaryKey && autoID)) {
    throw new Refusal(65535, "upsert can not assign primary field data when auto id enabled");
  }
  const given = flattened(withDynamic(mutation.fieldsData, schema, rows), schema);
  const names = given.map(({ fieldName }) => fieldName);
  const twice = names.find((name, at) => names.indexOf(name) !== at);
  if (twice !== undefined) invalid(`duplicated field ${twice} found`);
  const fields = [...schema.fields, ...schema.structArrayFields.flatMap((one) => one.fields)];
  const byName = new Map(given.map((one) => [one.fieldName, one]));
  const stored: Uint8Array[] = [];
  for (const field of fields) {
    const data = byName.get(field.name);
    byName.delete(field.name);
    if (isGenerated(field, schema, isUpsert)) {
      if (data !== undefined) invalid("more fieldData has pass in");
      continue;
    }
    if (data === undefined) {
      const mayLack = release.number >= 205 && (field.nullable || hasDefault(field));
      if (!mayLack) invalid(`fieldSchema(${field.name}) has no corresponding fieldData pass in`);
      continue;
    }
    checkValues(data, field);
    checkFlags(data, field, rows, release);
    stored.push(inLogForm(data, field, rows));
  }
  const [unknown] = byName.keys();
  if (unknown !== undefined) invalid(`fieldName ${unknown} not exist in collection schema`);
  return stored;
}

function withDynamic(given: readonly FieldData[], schema: CollectionSchema, rows: number): FieldData[] {
  const own = given.map((data) => data.isDynamic ? { ...data, fieldName: "$meta" } : data);
  if (!schema.enableDynamicField) return own;
  const dynamic = own.find(({ isDynamic }) => isDynamic);
  const objects = dynamic?.field.case === "scalars" && dynamic.field.value.data.case === "jsonData"
    ? dynamic.field.value.data.value.data
    : [];
  for (const bytes of objects) {
    const value = JSON.parse(new TextDecoder().decode(bytes));
    if (value === null || typeof value !== "object" || Array.isArray(value)) invalid("milvus only support json map");
  }
  if (dynamic !== undefined) return own;
  const data = Array.from({ length: rows }, () => new TextEncoder().encode("{}"));
  const field = { case: "scalars", value: { data: { case: "jsonData", value: { data } } } } as const;
  return [...own, create(FieldDataSchema, { type: DataType.JSON, fieldName: "$meta", isDynamic: true, field })];
}

function flattened(given: readonly FieldData[], schema: CollectionSchema): FieldData[] {
  return given.flatMap((data) => {
    const struct = schema.structArrayFields.find(({ name }) => name === data.fieldName);
    if (struct === undefined) return [data];
    if (data.field.case !== "structArrays") return invalid("field convert FieldData_StructArrays fail in fieldData");
    const { fields } = data.field.value;
    if (fields.length !== struct.fields.length) invalid("length of fields of struct field mismatch");
    return fields.map((inner) => ({ ...inner, fieldName: `${struct.name}[${inner.fieldName}]` }));
  });
}

const GENERATED: ReadonlySet<FunctionType> = new Set([
  FunctionType.BM25,
  FunctionType.TextEmbedding,
  FunctionType.MinHash,
]);

function isGenerated(field: FieldSchema, { functions }: CollectionSchema, isUpsert: boolean): boolean {
  if (field.isPrimaryKey && field.autoID && !isUpsert) return true;
  return functions.some(({ type, outputFieldNames }) => GENERATED.has(type) && outputFieldNames.includes(field.name));
}

function hasDefault({ defaultValue }: FieldSchema): boolean {
  return defaultValue?.data.case !== undefined;
}

/** Slots that the message has: how many values, whatever their type. */
function slotsOf(data: FieldData, field: FieldSchema): number {
  if (data.field.case === "scalars") {
    const { data: values } = data.field.value;
    return values.case === undefined ? invalid(`undefined data type:${DataType[data.type]}`) : values.value.data.length;
  }
  if (data.field.case !== "vectors") return invalid(`undefined data type:${DataType[data.type]}`);
  const { dim: given, data: values } = data.field.value;
  const dim = param(field, "dim");
  if (
    field.dataType !== DataType.SparseFloatVector && field.dataType !== DataType.ArrayOfVector && Number(given) !== dim
  ) {
    invalid(`the dim (${given}) of field data(${field.name}) is not equal to schema dim (${dim})`);
  }
  switch (values.case) {
    case "floatVector":
      return values.value.data.length / dim;
    case "binaryVector":
      return values.value.length / (dim / 8);
    case "float16Vector":
    case "bfloat16Vector":
      return values.value.length / 2 / dim;
    case "int8Vector":
      return values.value.length / dim;
    case "sparseFloatVector":
      return values.value.contents.length;
    case "vectorArray":
      return values.value.data.length;
    default:
      return invalid(`vector field '${field.name}' is illegal, array type mismatch`);
  }
}

/** Where values must stand, by the type of their field. */
const CASES: Readonly<Partial<Record<DataType, string>>> = {
  [DataType.Bool]: "boolData",
  [DataType.Int8]: "intData",
  [DataType.Int16]: "intData",
  [DataType.Int32]: "intData",
  [DataType.Int64]: "longData",
  [DataType.Float]: "floatData",
  [DataType.Double]: "doubleData",
  [DataType.VarChar]: "stringData",
  [DataType.Array]: "arrayData",
  [DataType.JSON]: "jsonData",
  [DataType.Geometry]: "geometryWktData",
  [DataType.Timestamptz]: "timestamptzData",
};

function checkValues(data: FieldData, field: FieldSchema): void {
  const wanted = CASES[field.dataType];
  if (wanted !== undefined) {
    const is = data.field.case === "scalars" ? data.field.value.data.case : undefined;
    if (is !== wanted) invalid(`field '${field.name}' is illegal, array type mismatch: need ${wanted}, got ${is}`);
  }
  if (data.field.case === "scalars") checkScalars(data.field.value.data, field);
  else if (data.field.case === "vectors") checkVectors(data.field.value.data, field);
}

type Scalars = Extract<FieldData["field"], { case: "scalars" }>["value"]["data"];

function checkScalars(values: Scalars, field: FieldSchema): void {
  const maxLength = param(field, "max_length");
  switch (values.case) {
    case "stringData":
      if (values.value.data.some((text) => new TextEncoder().encode(text).length > maxLength)) {
        invalid(`length of varchar field ${field.name} exceeds max length`);
      }
      return;
    case "jsonData":
      if (values.value.data.some(({ length }) => length > JSON_MAX_LENGTH)) {
        invalid(`the length of json field (${field.name}) exceeds max length`);
      }
      return;
    case "arrayData":
      for (const row of values.value.data) {
        if (row.data.case === undefined) invalid("insert data does not match: nil array");
        else if (row.data.case !== CASES[field.elementType]) invalid("insert data does not match");
        else if (row.data.value.data.length > param(field, "max_capacity")) {
          invalid(`the length of array of field ${field.name} exceeds max capacity`);
        }
      }
      return;
    case "floatData":
    case "doubleData":
      if (values.value.data.some((value) => !Number.isFinite(value))) invalid("value is not a number or infinity");
      return;
  }
}

type Vectors = Extract<FieldData["field"], { case: "vectors" }>["value"]["data"];

function checkVectors(values: Vectors, { name }: FieldSchema): void {
  if (values.case === "floatVector" && values.value.data.some((value) => !Number.isFinite(value))) {
    invalid("value is not a number or infinity");
  }
  if (values.case !== "sparseFloatVector") return;
  for (const row of values.value.contents) {
    if (row.length % 8 !== 0) invalid(`invalid data length in sparse float vector ${name}`);
    const view = new DataView(row.buffer, row.byteOffset, row.length);
    let last = -1;
    for (let at = 0; at < row.length; at += 8) {
      const index = view.getUint32(at, true);
      const value = view.getFloat32(at + 4, true);
      if (index <= last) invalid("unsorted or same indices in sparse float vector");
      if (!Number.isFinite(value) || value < 0) invalid("negative value or NaN in sparse float vector");
      last = index;
    }
  }
}

function checkFlags(data: FieldData, field: FieldSchema, rows: number, { number }: Release): void {
  const { validData } = data;
  const wrong = (what = "the length of valid_data of field") => invalid(`${what}(${field.name}) is wrong`);
  let valid = validData.length === 0 ? rows : validData.filter(Boolean).length;
  if (number < 205) {
    // It would keep them unread, for whoever reads its log.
    if (validData.length !== 0) invalid(`field ${field.name} has flags that this release does not know`);
    valid = rows;
  } else if (field.nullable || hasDefault(field)) {
    const mayLack = number >= 206;
    if (validData.length !== rows && !(mayLack && validData.length === 0)) wrong();
  } else if (validData.length !== 0) wrong();
  const slots = slotsOf(data, field);
  if (slots === valid) return;
  if (isVector(field.dataType) || valid === rows && validData.length === 0) {
    invalid(`the num_rows (${slots}) of field (${field.name}) is not equal to passed num_rows (${rows})`);
  }
  wrong("the length of field");
}

/** Full, with the default for each null of a field that has one. */
function inLogForm(data: FieldData, field: FieldSchema, rows: number): Uint8Array {
  const bytes = geometryToBinary(toBinary(FieldDataSchema, { ...data, fieldId: field.fieldID }), rows);
  const full = encodeColumn({ ...decodeFieldData(bytes, rows), fieldId: field.fieldID });
  if (!hasDefault(field)) return full;
  return fillNulls(full, rows, fillColumn(field, DEFAULT_FILL)!).bytes;
}
