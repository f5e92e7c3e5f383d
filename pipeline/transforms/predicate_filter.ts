/**
 * The plan of a delete by predicate as an expression that meets the same rows on any release. Milvus writes such a delete only
 * for comparisons of plain scalar fields with literals, `in`, `is null`, `and`, `or`, `not`; every other node is refused by its
 * name, and of these what releases, or the parts of one, may see differently:
 *
 * - a null under `or`, or under `not` of more than one condition: whether it counts as false or makes all of it null;
 * - a number that its field cannot hold: a Float compares as 32 or as 64 bits, an integer beyond its type wraps or does not.
 */
import type { AgreedColumn } from "../model/mod.ts";
import {
  BinaryExpr_BinaryOp,
  type ColumnInfo,
  type Expr,
  type GenericValue,
  NullExpr_NullOp,
  OpType,
  type PlanNode,
  UnaryExpr_UnaryOp,
} from "../proto/gen/plan_pb.ts";
import { type CollectionSchema, DataType, type FieldSchema } from "../proto/gen/schema_pb.ts";
import { COMPARE, predicateOf, type PredicateText, Unknown, value } from "./predicate.ts";

/** Fields of less are Milvus' own. */
const FIRST_FIELD = 100n;

const INTEGER_BITS: Readonly<Partial<Record<DataType, number>>> = {
  [DataType.Int8]: 8,
  [DataType.Int16]: 16,
  [DataType.Int32]: 32,
  [DataType.Int64]: 64,
};

/** The condition in words, and what decides whether it can stand under another one. */
interface Condition {
  readonly text: string;
  /** It can be null. */
  readonly unsure: boolean;
  /** It is of one field alone. */
  readonly leaf: boolean;
}

/**
 * `schema`: of the collection on the source. `agreed`: columns that the target does not have as they are; nothing can be asked
 * of these.
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * import { create } from "@bufbuild/protobuf";
 * import { OpType, PlanNodeSchema } from "../proto/gen/plan_pb.ts";
 * import { CollectionSchemaSchema, DataType } from "../proto/gen/schema_pb.ts";
 * import { predicateFilter } from "./predicate_filter.ts";
 *
 * const fields = [{ fieldID: 101n, name: "age", dataType: DataType.Int8, nullable: true }];
 * const schema = create(CollectionSchemaSchema, { fields });
 * const older = (int64Val: bigint) => {
 *   const columnInfo = { fieldId: 101n, dataType: DataType.Int8 };
 *   const value = { columnInfo, op: OpType.GreaterThan, value: { val: { case: "int64Val" as const, value: int64Val } } };
 *   const expr = { expr: { case: "unaryRangeExpr" as const, value } };
 *   return create(PlanNodeSchema, { node: { case: "predicates", value: expr } });
 * };
 * assert.deepEqual(predicateFilter(older(3n), schema, []), { kind: "expression", text: "(age is not null) and (age > 3)" });
 * assert.deepEqual(predicateFilter(older(300n), schema, []), { kind: "unknown", node: "GenericValue (300 of the Int8 field age)" });
 * ```
 */
export function predicateFilter(
  plan: PlanNode,
  schema: CollectionSchema,
  agreed: readonly AgreedColumn[],
): PredicateText {
  const changed = new Set(agreed.filter(({ change }) => change !== "plain").map(({ fieldId }) => fieldId));
  const fieldOf = (info: ColumnInfo | undefined): FieldSchema => {
    if (info === undefined) throw new Unknown("ColumnInfo (missing)");
    const { fieldId, dataType, nestedPath, isElementLevel } = info;
    const field = schema.fields.find(({ fieldID }) => fieldID === fieldId);
    if (field === undefined || fieldId < FIRST_FIELD) throw new Unknown(`ColumnInfo (field ${fieldId})`);
    const { name } = field;
    if (nestedPath.length > 0 || isElementLevel || field.isDynamic) throw new Unknown(`ColumnInfo (a part of ${name})`);
    if (changed.has(fieldId)) throw new Unknown(`ColumnInfo (${name}, which the target does not have as it is)`);
    if (field.dataType !== dataType || field.isFunctionOutput || !isPlain(dataType)) {
      throw new Unknown(`ColumnInfo (${name} of type ${DataType[dataType] ?? dataType})`);
    }
    return field;
  };
  try {
    return { kind: "expression", text: translate(predicateOf(plan), fieldOf).text };
  } catch (error) {
    if (error instanceof Unknown) return { kind: "unknown", node: error.message };
    throw error;
  }
}

type FieldOf = (info: ColumnInfo | undefined) => FieldSchema;

function translate({ expr, isTemplate }: Expr, fieldOf: FieldOf): Condition {
  if (isTemplate) throw new Unknown("Expr (with template variables)");
  switch (expr.case) {
    case "unaryExpr": {
      const { op, child } = expr.value;
      if (op !== UnaryExpr_UnaryOp.Not || child === undefined) {
        throw new Unknown(`UnaryExpr (${UnaryExpr_UnaryOp[op] ?? op})`);
      }
      return negated(child, fieldOf);
    }
    case "binaryExpr": {
      const { op, left, right } = expr.value;
      const name = BinaryExpr_BinaryOp[op] ?? op;
      const isOr = op === BinaryExpr_BinaryOp.LogicalOr;
      if ((!isOr && op !== BinaryExpr_BinaryOp.LogicalAnd) || left === undefined || right === undefined) {
        throw new Unknown(`BinaryExpr (${name})`);
      }
      const [one, other] = [translate(left, fieldOf), translate(right, fieldOf)];
      const unsure = one.unsure || other.unsure;
      if (isOr && unsure) throw new Unknown(`BinaryExpr (${name} over a field that may be null)`);
      return { text: `(${one.text}) ${isOr ? "or" : "and"} (${other.text})`, unsure, leaf: false };
    }
    case "nullExpr": {
      const { columnInfo, op } = expr.value;
      const { name, nullable } = fieldOf(columnInfo);
      if (!nullable || (op !== NullExpr_NullOp.IsNull && op !== NullExpr_NullOp.IsNotNull)) {
        throw new Unknown(`NullExpr (${NullExpr_NullOp[op] ?? op} of ${name})`);
      }
      const text = `${name} is ${op === NullExpr_NullOp.IsNull ? "null" : "not null"}`;
      return { text, unsure: false, leaf: true };
    }
    default: {
      const field = fieldIn(expr, fieldOf);
      return guarded(field, comparison(expr, field));
    }
  }
}

function negated(child: Expr, fieldOf: FieldOf): Condition {
  const { text, unsure, leaf } = translate(child, fieldOf);
  if (!unsure) return { text: `not (${text})`, unsure, leaf };
  if (!leaf) throw new Unknown("UnaryExpr (Not over a field that may be null)");
  const { expr } = child;
  // A condition that is negated already: what is null stays null.
  if (expr.case === "unaryExpr") return translate(expr.value.child!, fieldOf);
  const field = fieldIn(expr, fieldOf);
  return guarded(field, `not (${comparison(expr, field)})`);
}

/** A null meets no condition, and not its opposite either. */
function guarded({ name, nullable }: FieldSchema, text: string): Condition {
  return nullable
    ? { text: `(${name} is not null) and (${text})`, unsure: true, leaf: true }
    : { text, unsure: false, leaf: true };
}

function fieldIn(expr: Expr["expr"], fieldOf: FieldOf): FieldSchema {
  if (expr.case === "unaryRangeExpr" || expr.case === "termExpr") return fieldOf(expr.value.columnInfo);
  throw new Unknown(expr.case === undefined ? "Expr (empty)" : `${expr.case[0]!.toUpperCase()}${expr.case.slice(1)}`);
}

function comparison(expr: Expr["expr"], field: FieldSchema): string {
  const { name } = field;
  if (expr.case === "unaryRangeExpr") {
    const { op, value: given, templateVariableName, extraValues } = expr.value;
    const sign = COMPARE[op];
    const orders = field.dataType !== DataType.Bool || op === OpType.Equal || op === OpType.NotEqual;
    if (sign === undefined || !orders || templateVariableName !== "" || extraValues.length > 0) {
      throw new Unknown(`UnaryRangeExpr (${OpType[op] ?? op})`);
    }
    return `${name} ${sign} ${literal(given, field)}`;
  }
  if (expr.case !== "termExpr") throw new Unknown("Expr (empty)");
  const { values, isInField, templateVariableName } = expr.value;
  if (isInField || templateVariableName !== "" || values.length === 0) throw new Unknown("TermExpr (of no list)");
  const literals = values.map((given) => literal(given, field));
  // Not every release takes a list of these.
  if (field.dataType === DataType.Bool) {
    const texts = [...new Set(literals)].map((one) => `(${name} == ${one})`);
    return texts.join(" or ");
  }
  return `${name} in [${literals.join(", ")}]`;
}

function isPlain(type: DataType): boolean {
  return type === DataType.Bool || type === DataType.Float || type === DataType.Double || isText(type) ||
    INTEGER_BITS[type] !== undefined;
}

function isText(type: DataType): boolean {
  return type === DataType.VarChar || type === DataType.String;
}

function literal(given: GenericValue | undefined, { name, dataType }: FieldSchema): string {
  const text = value(given);
  if (!fits(given!.val, dataType)) {
    throw new Unknown(`GenericValue (${text} of the ${DataType[dataType]} field ${name})`);
  }
  return text;
}

function fits(val: GenericValue["val"], type: DataType): boolean {
  switch (val.case) {
    case "boolVal":
      return type === DataType.Bool;
    case "int64Val": {
      const bits = INTEGER_BITS[type];
      return bits !== undefined && BigInt.asIntN(bits, val.value) === val.value;
    }
    case "floatVal":
      return type === DataType.Double || (type === DataType.Float && Math.fround(val.value) === val.value);
    case "stringVal":
      return isText(type);
    default:
      return false;
  }
}
