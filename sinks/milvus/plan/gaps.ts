/** What a target could not keep of a schema, field by field: it would drop it, damage it or refuse it. */
import type { Gap } from "../../../pipeline/model/mod.ts";
import {
  type CollectionSchema,
  DataType,
  type FieldSchema,
  FunctionType,
} from "../../../pipeline/proto/gen/schema_pb.ts";
import { isVectorType } from "../described.ts";
import type { Features } from "../features.ts";
import { userFields } from "./schema.ts";

/** Functions whose output the proxy makes, so that it is in the log; what others make is in files only. */
const MADE_BY_PROXY: ReadonlySet<FunctionType> = new Set([FunctionType.TextEmbedding]);

/** What the target's collection has, where there is one. */
export interface TargetColumns {
  /** Arrays of structs by their own name. */
  readonly names: ReadonlySet<string>;
  readonly withDefault: ReadonlySet<string>;
}

/** In the order of the fields. */
export function gapsOf(schema: CollectionSchema, features: Features, target?: TargetColumns): Gap[] {
  const there = target?.names;
  const made = madeBy(schema);
  const gaps = userFields(schema).flatMap((field): Gap[] => {
    const { fieldID: fieldId, name, dataType, nullable } = field;
    const gap = (lacks: Gap["lacks"], what: string): Gap[] => [{ fieldId, field: name, lacks, what }];
    if (!features.knowsType(dataType)) {
      return gap("column", `the type ${DataType[dataType] ?? dataType} of field ${name}`);
    }
    const maker = made.get(name);
    const missing = there !== undefined && !there.has(name);
    if (maker !== undefined && (missing || !features.functions)) {
      // To a collection that is there no function can be added.
      return missing
        ? gap("column", `how to add the function ${maker.name} to a collection`)
        : gap(MADE_BY_PROXY.has(maker.type) ? "function" : "column", `the function ${maker.name}`);
    }
    if (missing && !canAdd(field, features)) return gap("column", `how to add field ${name} to a collection`);
    if (nullable && !takesNulls(field, features)) return gap("nulls", `null values in field ${name}`);
    if (!nullable) return [];
    // fillWithDefaultValue of the proxy (internal/proxy/validate_util.go), in every release that knows both.
    if (hasDefault(field)) return gap("default", "null values in a field that has a default value");
    const ownDefault = target?.withDefault.has(name) === true;
    return ownDefault ? gap("nulls", `null values in field ${name}, which has a default value there`) : [];
  });
  const inStructs = schema.structArrayFields.flatMap(({ name, fields }): Gap[] => {
    if (features.structArrays && (there === undefined || there.has(name))) return [];
    const what = features.structArrays
      ? `how to add the struct array ${name} to a collection`
      : `the struct array ${name}`;
    return fields.map((field) => ({ fieldId: field.fieldID, field: field.name, lacks: "column", what }));
  });
  return [...gaps, ...inStructs];
}

/** The rows that are there already have nulls or the default in it, so that it cannot be one that is filled from now on. */
function canAdd(field: FieldSchema, features: Features): boolean {
  return features.addsFields && (field.nullable ? takesNulls(field, features) : hasDefault(field));
}

function hasDefault({ defaultValue }: FieldSchema): boolean {
  return defaultValue?.data.case !== undefined;
}

function takesNulls({ dataType }: FieldSchema, features: Features): boolean {
  return isVectorType(dataType) ? features.nullableVectors : features.nullable;
}

/** Name of an output -> what makes it. */
function madeBy({ functions }: CollectionSchema): Map<string, { readonly name: string; readonly type: FunctionType }> {
  return new Map(
    functions.flatMap(({ name, type, outputFieldNames }) =>
      outputFieldNames.map((output) => [output, { name, type }] as const)
    ),
  );
}

/** What stands against creating it, one phrase each; empty where the target can keep everything. */
export function unknownToTarget(schema: CollectionSchema, features: Features): string[] {
  const unknown = gapsOf(schema, features).flatMap(({ lacks, what }) => lacks === "default" ? [] : [what]);
  // A function without outputs of its own, such as a reranker, leaves no column behind.
  if (!features.functions) { for (const { name } of schema.functions) unknown.push(`the function ${name}`); }
  const vectors = schema.fields.filter(({ dataType }) => isVectorType(dataType));
  if (vectors.length > 1 && !features.severalVectors) {
    unknown.push(`several vector fields in one collection (${vectors.map(({ name }) => name).join(", ")})`);
  }
  return [...new Set(unknown)];
}
