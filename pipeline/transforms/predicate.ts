/**
 * The plan of a delete by predicate (3.0) as the expression that a client would have written. Only what Milvus' grammar says
 * without a doubt is translated: a comparison, a list, a range, a pattern without signs of its own, `and`, `or`, `not`. The names
 * of nodes are those of Milvus' plan.proto.
 */
import { int64Literal, stringLiteral } from "../columns/mod.ts";
import {
  ArithOpType,
  type BinaryArithOpEvalRangeExpr,
  type ColumnInfo,
  type Expr,
  type GenericValue,
  JSONContainsExpr_JSONOp,
  NullExpr_NullOp,
  OpType,
  type PlanNode,
  type TermExpr,
  type UnaryRangeExpr,
} from "../proto/gen/plan_pb.ts";
import { BinaryExpr_BinaryOp, UnaryExpr_UnaryOp } from "../proto/gen/plan_pb.ts";
import { DataType } from "../proto/gen/schema_pb.ts";

export type PredicateText =
  | { readonly kind: "expression"; readonly text: string }
  /** `node`: the first that has no translation, and what of it. */
  | { readonly kind: "unknown"; readonly node: string };

/** Thrown within a translation, with the node that has none. */
export class Unknown extends Error {}

/**
 * `nameOf`: the name of a field; undefined where there is no such field.
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * import { create } from "@bufbuild/protobuf";
 * import { OpType, PlanNodeSchema } from "../proto/gen/plan_pb.ts";
 * import { predicateText } from "./predicate.ts";
 *
 * const older = { columnInfo: { fieldId: 101n }, op: OpType.GreaterThan, value: { val: { case: "int64Val", value: 3n } } } as const;
 * const plan = create(PlanNodeSchema, {
 *   node: { case: "predicates", value: { expr: { case: "unaryRangeExpr", value: older } } },
 * });
 * assert.deepEqual(predicateText(plan, () => "age"), { kind: "expression", text: "age > 3" });
 * assert.deepEqual(predicateText(plan, () => undefined), { kind: "unknown", node: "ColumnInfo (field 101)" });
 * ```
 */
export function predicateText(plan: PlanNode, nameOf: (fieldId: bigint) => string | undefined): PredicateText {
  try {
    return { kind: "expression", text: translate(predicateOf(plan), nameOf) };
  } catch (error) {
    if (error instanceof Unknown) return { kind: "unknown", node: error.message };
    throw error;
  }
}

/** What a plan selects rows by. Throws {@link Unknown} for one that does more than that. */
export function predicateOf(plan: PlanNode): Expr {
  const { node, namespace, dynamicFields: _dynamic } = plan;
  if (namespace !== undefined) throw new Unknown("PlanNode (with a namespace)");
  switch (node.case) {
    case "predicates":
      return node.value;
    case "query": {
      const { predicates, isCount, limit, groupByFieldIds, aggregates, queryIteratorCursor } = node.value;
      const more = isCount || limit > 0n || groupByFieldIds.length + aggregates.length > 0 ||
        queryIteratorCursor !== undefined;
      if (more || predicates === undefined) throw new Unknown("QueryPlanNode (with more than a predicate)");
      return predicates;
    }
    default:
      throw new Unknown(node.case === undefined ? "PlanNode (empty)" : "VectorANNS");
  }
}

type NameOf = (fieldId: bigint) => string | undefined;

export const COMPARE: Readonly<Partial<Record<OpType, string>>> = {
  [OpType.GreaterThan]: ">",
  [OpType.GreaterEqual]: ">=",
  [OpType.LessThan]: "<",
  [OpType.LessEqual]: "<=",
  [OpType.Equal]: "==",
  [OpType.NotEqual]: "!=",
};

const ARITH: Readonly<Partial<Record<ArithOpType, string>>> = {
  [ArithOpType.Add]: "+",
  [ArithOpType.Sub]: "-",
  [ArithOpType.Mul]: "*",
  [ArithOpType.Div]: "/",
  [ArithOpType.Mod]: "%",
};

const CONTAINS: Readonly<Partial<Record<JSONContainsExpr_JSONOp, string>>> = {
  [JSONContainsExpr_JSONOp.Contains]: "json_contains",
  [JSONContainsExpr_JSONOp.ContainsAll]: "json_contains_all",
  [JSONContainsExpr_JSONOp.ContainsAny]: "json_contains_any",
};

function translate({ expr, isTemplate }: Expr, nameOf: NameOf): string {
  if (isTemplate) throw new Unknown("Expr (with template variables)");
  switch (expr.case) {
    case "termExpr":
      return term(expr.value, nameOf);
    case "unaryExpr": {
      const { op, child } = expr.value;
      if (op !== UnaryExpr_UnaryOp.Not || child === undefined) {
        throw new Unknown(`UnaryExpr (${UnaryExpr_UnaryOp[op]})`);
      }
      return `not (${translate(child, nameOf)})`;
    }
    case "binaryExpr": {
      const { op, left, right } = expr.value;
      const word = { [BinaryExpr_BinaryOp.LogicalAnd]: "and", [BinaryExpr_BinaryOp.LogicalOr]: "or" }[op as 1 | 2];
      if (word === undefined || left === undefined || right === undefined) {
        throw new Unknown(`BinaryExpr (${BinaryExpr_BinaryOp[op]})`);
      }
      return `(${translate(left, nameOf)}) ${word} (${translate(right, nameOf)})`;
    }
    case "compareExpr": {
      const { leftColumnInfo, rightColumnInfo, op } = expr.value;
      return `${column(leftColumnInfo, nameOf)} ${compare(op, "CompareExpr")} ${column(rightColumnInfo, nameOf)}`;
    }
    case "unaryRangeExpr":
      return unaryRange(expr.value, nameOf);
    case "binaryRangeExpr": {
      const { columnInfo, lowerInclusive, upperInclusive, lowerValue, upperValue, ...more } = expr.value;
      if (more.lowerTemplateVariableName + more.upperTemplateVariableName !== "") {
        throw new Unknown("BinaryRangeExpr (with template variables)");
      }
      const name = column(columnInfo, nameOf);
      return `(${name} ${lowerInclusive ? ">=" : ">"} ${value(lowerValue)}) and (${name} ${
        upperInclusive ? "<=" : "<"
      } ${value(upperValue)})`;
    }
    case "binaryArithOpEvalRangeExpr":
      return arith(expr.value, nameOf);
    case "existsExpr":
      return `exists ${column(expr.value.info, nameOf)}`;
    case "nullExpr": {
      const { columnInfo, op } = expr.value;
      if (op === NullExpr_NullOp.IsNull) return `${column(columnInfo, nameOf)} is null`;
      if (op === NullExpr_NullOp.IsNotNull) return `${column(columnInfo, nameOf)} is not null`;
      throw new Unknown(`NullExpr (${NullExpr_NullOp[op]})`);
    }
    case "jsonContainsExpr": {
      const { columnInfo, elements, op, templateVariableName } = expr.value;
      const name = CONTAINS[op];
      const one = op === JSONContainsExpr_JSONOp.Contains;
      if (name === undefined || templateVariableName !== "" || (one && elements.length !== 1)) {
        throw new Unknown(`JSONContainsExpr (${JSONContainsExpr_JSONOp[op]})`);
      }
      const list = elements.map(value);
      return `${name}(${column(columnInfo, nameOf)}, ${one ? list[0] : `[${list.join(", ")}]`})`;
    }
    default:
      throw new Unknown(
        expr.case === undefined ? "Expr (empty)" : `${expr.case[0]!.toUpperCase()}${expr.case.slice(1)}`,
      );
  }
}

function term({ columnInfo, values, isInField, templateVariableName }: TermExpr, nameOf: NameOf): string {
  if (isInField || templateVariableName !== "") throw new Unknown("TermExpr (of a field or a template variable)");
  return `${column(columnInfo, nameOf)} in [${values.map(value).join(", ")}]`;
}

function unaryRange(
  { columnInfo, op, value: operand, templateVariableName, extraValues }: UnaryRangeExpr,
  nameOf: NameOf,
): string {
  if (templateVariableName !== "" || extraValues.length > 0) throw new Unknown(`UnaryRangeExpr (${OpType[op]})`);
  const name = column(columnInfo, nameOf);
  const sign = COMPARE[op];
  if (sign !== undefined) return `${name} ${sign} ${value(operand)}`;
  const text = operand?.val.case === "stringVal" ? operand.val.value : undefined;
  // How a sign of the pattern is written that means itself differs from release to release.
  if (text === undefined || /[%_\\]/.test(text)) throw new Unknown(`UnaryRangeExpr (${OpType[op]})`);
  switch (op) {
    case OpType.PrefixMatch:
      return `${name} like ${stringLiteral(`${text}%`)}`;
    case OpType.PostfixMatch:
      return `${name} like ${stringLiteral(`%${text}`)}`;
    case OpType.InnerMatch:
      return `${name} like ${stringLiteral(`%${text}%`)}`;
    default:
      throw new Unknown(`UnaryRangeExpr (${OpType[op] ?? op})`);
  }
}

function arith(
  { columnInfo, arithOp, rightOperand, op, value: operand, ...more }: BinaryArithOpEvalRangeExpr,
  nameOf: NameOf,
): string {
  const what = `BinaryArithOpEvalRangeExpr (${ArithOpType[arithOp] ?? arithOp})`;
  if (more.operandTemplateVariableName + more.valueTemplateVariableName !== "") throw new Unknown(what);
  const name = column(columnInfo, nameOf);
  const end = `${compare(op, what)} ${value(operand)}`;
  if (arithOp === ArithOpType.ArrayLength) return `array_length(${name}) ${end}`;
  const sign = ARITH[arithOp];
  if (sign === undefined) throw new Unknown(what);
  return `(${name} ${sign} ${value(rightOperand)}) ${end}`;
}

function compare(op: OpType, what: string): string {
  const sign = COMPARE[op];
  if (sign === undefined) throw new Unknown(`${what} (${OpType[op] ?? op})`);
  return sign;
}

function column(info: ColumnInfo | undefined, nameOf: NameOf): string {
  if (info === undefined) throw new Unknown("ColumnInfo (missing)");
  const { fieldId, nestedPath, isElementLevel, dataType } = info;
  const name = nameOf(fieldId);
  if (name === undefined || isElementLevel) throw new Unknown(`ColumnInfo (field ${fieldId})`);
  const index = (part: string) => dataType === DataType.Array && /^\d+$/.test(part) ? part : stringLiteral(part);
  return `${name}${nestedPath.map((part) => `[${index(part)}]`).join("")}`;
}

/** A literal. Throws {@link Unknown} for what none is. */
export function value(given: GenericValue | undefined): string {
  const val = given?.val;
  switch (val?.case) {
    case "boolVal":
      return val.value ? "true" : "false";
    case "int64Val":
      return int64Literal(val.value);
    case "floatVal": {
      if (!Number.isFinite(val.value)) throw new Unknown(`GenericValue (${val.value})`);
      const text = Object.is(val.value, -0) ? "-0" : String(val.value);
      // Without a point or an exponent it would be an integer.
      return /[.e]/.test(text) ? text : `${text}.0`;
    }
    case "stringVal":
      return stringLiteral(val.value);
    case "arrayVal":
      return `[${val.value.array.map(value).join(", ")}]`;
    default:
      throw new Unknown("GenericValue (empty)");
  }
}
