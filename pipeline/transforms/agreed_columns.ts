/** What becomes of the columns that a target does not take: agreed by a policy, then done to schemas and to rows. */
import { clone } from "@bufbuild/protobuf";
import {
  columnToJson,
  countValues,
  decodeFieldData,
  DEFAULT_FILL,
  describeFieldData,
  encodeColumn,
  fillColumn,
  fillNulls,
  type FillValues,
  repeatValue,
} from "../columns/mod.ts";
import { formatJson } from "../json.ts";
import type { AgreedColumn, Collection, Column, Gap, TargetGaps } from "../model/mod.ts";
import { type CollectionSchema, CollectionSchemaSchema, type FieldSchema } from "../proto/gen/schema_pb.ts";

export type UnsupportedPolicy =
  | { readonly policy: "hold" }
  | { readonly policy: "drop_column" }
  | { readonly policy: "fill"; readonly values: FillValues };

export interface Agreement {
  /** Those of before, and new ones. */
  readonly columns: readonly AgreedColumn[];
  /** Why the collection cannot be carried, as a sentence; undefined: it can. */
  readonly problem: string | undefined;
}

/**
 * What was agreed `before` stays. `fill` helps against nulls; a column of which the target takes nothing is left out by it,
 * too. Values whose function the target does not know are carried under every policy: nothing of them is lost. A null that the
 * target turns into the field's default is no reason to hold a collection: a source has such nulls only by its own faults.
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * import { create } from "@bufbuild/protobuf";
 * import { CollectionSchemaSchema, DataType } from "../proto/gen/schema_pb.ts";
 * import { agree } from "./agreed_columns.ts";
 *
 * const note = { fieldID: 101n, name: "note", dataType: DataType.VarChar, nullable: true };
 * const schema = create(CollectionSchemaSchema, { fields: [{ fieldID: 100n, name: "id", isPrimaryKey: true }, note] });
 * const gap = { fieldId: 101n, field: "note", lacks: "nulls", what: "null values in field note" } as const;
 * const gaps = { release: "Milvus 2.3.5", gaps: [gap] };
 * assert.match(agree({ policy: "hold" }, { schema }, gaps, []).problem!, /does not know null values in field note: held/);
 * assert.equal(agree({ policy: "drop_column" }, { schema }, gaps, []).columns[0]!.change, "left_out");
 * ```
 */
export function agree(
  policy: UnsupportedPolicy,
  { schema }: Pick<Collection, "schema">,
  { release, gaps }: TargetGaps,
  before: readonly AgreedColumn[],
): Agreement {
  const fields = new Map(allFields(schema).map((field) => [field.fieldID, field]));
  const known = new Set(before.map(({ fieldId }) => fieldId));
  const columns = [...before];
  const held: Gap[] = [];
  for (const gap of gaps) {
    const field = fields.get(gap.fieldId);
    if (field === undefined || known.has(gap.fieldId)) continue;
    known.add(gap.fieldId);
    const agreed = decide(policy, field, gap, `${release} does not know ${gap.what}`);
    if (agreed === undefined) held.push(gap);
    else columns.push(agreed);
  }
  return { columns, problem: problemOf(release, schema, held, columns, policy) };
}

function decide({ policy, ...rest }: UnsupportedPolicy, field: FieldSchema, gap: Gap, why: string) {
  const { fieldId, lacks } = gap;
  const about = { fieldId, field: field.name, why, value: "", column: "", values: 0n };
  if (lacks === "function") return { ...about, change: "plain" } as const;
  if (lacks === "default") return withValue(about, "defaulted", fillColumn(field, DEFAULT_FILL)!);
  // Without its key a row is none, and without its partition key nobody knows where it belongs.
  if (policy === "hold" || field.isPrimaryKey || field.isPartitionKey) return undefined;
  if (policy === "fill" && lacks === "nulls") {
    const column = fillColumn(field, (rest as { values: FillValues }).values);
    if (column !== undefined) return withValue(about, "filled", column);
  }
  return { ...about, change: "left_out" } as const;
}

function withValue(about: Omit<AgreedColumn, "change">, change: AgreedColumn["change"], column: Column): AgreedColumn {
  return { ...about, change, value: formatJson(columnToJson(column)[0]!), column: encodeColumn(column).toBase64() };
}

function problemOf(
  release: string,
  schema: CollectionSchema,
  held: readonly Gap[],
  agreed: readonly AgreedColumn[],
  { policy }: UnsupportedPolicy,
): string | undefined {
  if (held.length > 0) {
    const what = [...new Set(held.map((gap) => gap.what))].join(", ");
    return policy === "hold"
      ? `${release} on the target does not know ${what}: held. transforms.unsupported: drop_column or fill goes on without`
      : `${release} on the target does not know ${what}, and a key can neither be left out nor filled`;
  }
  const left = agreedSchema(schema, agreed).fields;
  if (schema.fields.some(isVectorField) && !left.some(isVectorField)) {
    return `${release} on the target takes none of its vector fields, and a collection needs one`;
  }
  return undefined;
}

function isVectorField({ dataType }: FieldSchema): boolean {
  return dataType >= 100 && dataType < 200;
}

function allFields({ fields, structArrayFields }: CollectionSchema): FieldSchema[] {
  return [...fields, ...structArrayFields.flatMap(({ fields }) => fields)];
}

/** The schema as the target is to have it. The same object where nothing was agreed. */
function agreedSchema(schema: CollectionSchema, agreed: readonly AgreedColumn[]): CollectionSchema {
  if (agreed.length === 0) return schema;
  const changes = new Map(agreed.map((one) => [one.fieldId, one.change]));
  const isLeft = ({ fieldID }: { readonly fieldID: bigint }) => changes.get(fieldID) === "left_out";
  const copy = clone(CollectionSchemaSchema, schema);
  copy.fields = copy.fields.filter((field) => !isLeft(field));
  // An array of structs is whole or not there.
  copy.structArrayFields = copy.structArrayFields.filter(({ fields }) => !fields.some(isLeft));
  for (const field of copy.fields) {
    const change = changes.get(field.fieldID);
    if (change === "filled") field.nullable = false;
    if (change === "plain") field.isFunctionOutput = false;
  }
  const names = new Set(allFields(copy).map(({ name }) => name));
  const plain = new Set(agreed.filter(({ change }) => change === "plain").map(({ field }) => field));
  copy.functions = copy.functions.filter(({ inputFieldNames, outputFieldNames }) =>
    [...inputFieldNames, ...outputFieldNames].every((name) => names.has(name)) &&
    !outputFieldNames.some((name) => plain.has(name))
  );
  return copy;
}

/**
 * The collection as the target is to have it: also without indexes of columns that it does not have.
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * import { create } from "@bufbuild/protobuf";
 * import type { Collection } from "../model/mod.ts";
 * import { CollectionSchemaSchema } from "../proto/gen/schema_pb.ts";
 * import { agreedCollection } from "./agreed_columns.ts";
 *
 * const schema = create(CollectionSchemaSchema, { fields: [{ fieldID: 100n, name: "id" }, { fieldID: 101n, name: "note" }] });
 * const books = { schema, indexes: [], load: undefined } as unknown as Collection;
 * const note = { fieldId: 101n, field: "note", change: "left_out", why: "", value: "", column: "", values: 0n } as const;
 * assert.deepEqual(agreedCollection(books, [note]).schema.fields.map(({ name }) => name), ["id"]);
 * ```
 */
export function agreedCollection(collection: Collection, agreed: readonly AgreedColumn[]): Collection {
  if (agreed.length === 0) return collection;
  const gone = new Set(agreed.filter(({ change }) => change === "left_out").map(({ fieldId }) => fieldId));
  const { load } = collection;
  return {
    ...collection,
    schema: agreedSchema(collection.schema, agreed),
    indexes: collection.indexes.filter(({ fieldId }) => !gone.has(fieldId)),
    load: load === undefined ? undefined : { ...load, loadFields: load.loadFields.filter((id) => !gone.has(id)) },
  };
}

/**
 * The schema with which a segment's rows are read: outputs of functions too, where their values are carried.
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * import { create } from "@bufbuild/protobuf";
 * import { CollectionSchemaSchema } from "../proto/gen/schema_pb.ts";
 * import { readSchema } from "./agreed_columns.ts";
 *
 * const schema = create(CollectionSchemaSchema, { fields: [{ fieldID: 101n, name: "emb", isFunctionOutput: true }] });
 * const emb = { fieldId: 101n, field: "emb", change: "plain", why: "", value: "", column: "", values: 0n } as const;
 * assert.equal(readSchema(schema, [emb]).fields[0]!.isFunctionOutput, false);
 * assert.equal(readSchema(schema, []), schema);
 * ```
 */
export function readSchema(schema: CollectionSchema, agreed: readonly AgreedColumn[]): CollectionSchema {
  const plain = new Set(agreed.filter(({ change }) => change === "plain").map(({ fieldId }) => fieldId));
  if (plain.size === 0) return schema;
  const copy = clone(CollectionSchemaSchema, schema);
  for (const field of copy.fields) if (plain.has(field.fieldID)) field.isFunctionOutput = false;
  return copy;
}

export interface AgreedRows {
  readonly fieldsData: readonly Uint8Array[];
  /** By the agreed column: values left out, or nulls filled. */
  readonly counts: readonly number[];
}

/**
 * Rows of the source as the target is to have them. A filled column that they lack, since they are older, is added.
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * import { create, toBinary } from "@bufbuild/protobuf";
 * import { FieldDataSchema } from "../proto/gen/schema_pb.ts";
 * import { agreedRows } from "./agreed_columns.ts";
 *
 * const bytes = toBinary(FieldDataSchema, create(FieldDataSchema, { fieldName: "note", fieldId: 101n, validData: [true, false] }));
 * const note = { fieldId: 101n, field: "note", change: "left_out", why: "", value: "", column: "", values: 0n } as const;
 * assert.deepEqual(agreedRows([note], [bytes], 2), { fieldsData: [], counts: [1] });
 * ```
 */
export function agreedRows(
  agreed: readonly AgreedColumn[],
  fieldsData: readonly Uint8Array[],
  rows: number,
): AgreedRows {
  if (agreed.length === 0) return { fieldsData, counts: [] };
  const counts = agreed.map(() => 0);
  const seen = new Set<number>();
  const kept: Uint8Array[] = [];
  for (const bytes of fieldsData) {
    const { fieldId, name } = describeFieldData(bytes);
    const at = agreed.findIndex((one) => fieldId === 0n ? one.field === name : one.fieldId === fieldId);
    const one = agreed[at];
    if (one === undefined || one.change === "plain") {
      kept.push(bytes);
      continue;
    }
    seen.add(at);
    if (one.change === "left_out") {
      counts[at] = countValues(bytes, rows);
      continue;
    }
    if (one.change === "defaulted" && countValues(bytes, rows) === rows) {
      kept.push(bytes);
      continue;
    }
    const { bytes: without, nulls } = fillNulls(bytes, rows, valueOf(one));
    counts[at] = nulls;
    kept.push(without);
  }
  agreed.forEach((one, at) => {
    if (one.change !== "filled" || seen.has(at)) return;
    counts[at] = rows;
    kept.push(repeatValue(valueOf(one), rows));
  });
  return { fieldsData: kept, counts };
}

function valueOf({ column }: AgreedColumn) {
  return decodeFieldData(Uint8Array.fromBase64(column), 1);
}
