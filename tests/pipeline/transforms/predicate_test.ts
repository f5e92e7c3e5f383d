import assert from "node:assert/strict";
import { create, type MessageInitShape } from "@bufbuild/protobuf";
import fc from "fast-check";
import {
  ArithOpType,
  BinaryExpr_BinaryOp,
  type Expr,
  ExprSchema,
  type GenericValue,
  type GenericValueSchema,
  JSONContainsExpr_JSONOp,
  NullExpr_NullOp,
  OpType,
  PlanNodeSchema,
  UnaryExpr_UnaryOp,
} from "../../../pipeline/proto/gen/plan_pb.ts";
import { DataType } from "../../../pipeline/proto/gen/schema_pb.ts";
import { predicateText } from "../../../pipeline/transforms/predicate.ts";
import { compared, meets } from "../../fakes/expression.ts";

type Init = MessageInitShape<typeof ExprSchema>;
type Value = bigint | number | string | boolean;
type Row = Readonly<Record<string, Value>>;

const NAMES: Readonly<Record<string, string>> = { 100: "id", 101: "n", 102: "f", 103: "s", 104: "b", 105: "$meta" };
const nameOf = (id: bigint) => NAMES[`${id}`];
const planOf = (expr: Init) => create(PlanNodeSchema, { node: { case: "predicates", value: expr } });
const textOf = (expr: Init) => predicateText(planOf(expr), nameOf);
const column = (fieldId: bigint, more: { nestedPath?: string[]; dataType?: DataType } = {}) => ({ fieldId, ...more });
const int = (value: bigint): MessageInitShape<typeof GenericValueSchema> => ({ val: { case: "int64Val", value } });
const text = (value: string): MessageInitShape<typeof GenericValueSchema> => ({ val: { case: "stringVal", value } });

function literal(value: Value): MessageInitShape<typeof GenericValueSchema> {
  switch (typeof value) {
    case "bigint":
      return int(value);
    case "number":
      return { val: { case: "floatVal", value } };
    case "string":
      return text(value);
    case "boolean":
      return { val: { case: "boolVal", value } };
  }
}

const VALUES: Readonly<Record<string, fc.Arbitrary<Value>>> = {
  100: fc.bigInt(-(2n ** 63n), 2n ** 63n - 1n),
  101: fc.bigInt(-3n, 3n),
  102: fc.double({ noNaN: true, noDefaultInfinity: true }),
  103: fc.oneof(fc.string({ unit: "grapheme", maxLength: 3 }), fc.constantFrom("ab", "abc", "cab", 'a"b\\')),
  104: fc.boolean(),
};
const ORDERED = [
  OpType.GreaterThan,
  OpType.GreaterEqual,
  OpType.LessThan,
  OpType.LessEqual,
  OpType.Equal,
  OpType.NotEqual,
];
const PATTERNS = [OpType.PrefixMatch, OpType.PostfixMatch, OpType.InnerMatch];

const leaf: fc.Arbitrary<Init> = fc.constantFrom(100n, 101n, 102n, 103n, 104n).chain((field) => {
  const value = VALUES[`${field}`]!.map(literal);
  const columnInfo = column(field);
  const ops = field === 104n ? [OpType.Equal, OpType.NotEqual] : ORDERED;
  const kinds: fc.Arbitrary<Init>[] = [
    fc.record({ op: fc.constantFrom(...ops), value }).map(({ op, value }) => ({
      expr: { case: "unaryRangeExpr", value: { columnInfo, op, value } },
    })),
    fc.array(value, { maxLength: 3 }).map((values) => ({ expr: { case: "termExpr", value: { columnInfo, values } } })),
  ];
  if (field !== 104n) {
    kinds.push(
      fc.record({ lowerInclusive: fc.boolean(), upperInclusive: fc.boolean(), lowerValue: value, upperValue: value })
        .map((range) => ({ expr: { case: "binaryRangeExpr", value: { columnInfo, ...range } } })),
      fc.constantFrom(...ORDERED).map((op) => ({
        expr: { case: "compareExpr", value: { leftColumnInfo: columnInfo, rightColumnInfo: columnInfo, op } },
      })),
    );
  }
  if (field === 101n) {
    const arithOp = fc.constantFrom(ArithOpType.Add, ArithOpType.Sub, ArithOpType.Mul);
    kinds.push(
      fc.record({ arithOp, op: fc.constantFrom(...ORDERED), rightOperand: value, value }).map((more) => ({
        expr: { case: "binaryArithOpEvalRangeExpr", value: { columnInfo, ...more } },
      })),
    );
  }
  if (field === 103n) {
    const operand = fc.string({ unit: fc.constantFrom("a", "b", '"', "é"), maxLength: 2 }).map(text);
    kinds.push(
      fc.record({ op: fc.constantFrom(...PATTERNS), value: operand }).map(({ op, value }) => ({
        expr: { case: "unaryRangeExpr", value: { columnInfo, op, value } },
      })),
    );
  }
  return fc.oneof(...kinds);
});

const { expr: anyExpr } = fc.letrec<{ expr: Init }>((tie) => ({
  expr: fc.oneof(
    { maxDepth: 4, withCrossShrink: true },
    leaf,
    tie("expr").map((child): Init => ({ expr: { case: "unaryExpr", value: { op: UnaryExpr_UnaryOp.Not, child } } })),
    fc.record({
      op: fc.constantFrom(BinaryExpr_BinaryOp.LogicalAnd, BinaryExpr_BinaryOp.LogicalOr),
      left: tie("expr"),
      right: tie("expr"),
    }).map((value): Init => ({ expr: { case: "binaryExpr", value } })),
  ),
}));

const anyRow: fc.Arbitrary<Row> = fc.record({
  id: VALUES[100]!,
  n: VALUES[101]!,
  f: VALUES[102]!,
  s: VALUES[103]!,
  b: VALUES[104]!,
});

/** What the plan says of a row, node by node. */
function holds({ expr }: Expr, row: Row): boolean {
  const at = (info: { readonly fieldId: bigint } | undefined) => row[nameOf(info!.fieldId)!]!;
  const of = (given: GenericValue | undefined) => given!.val.value as Value;
  switch (expr.case) {
    case "unaryRangeExpr": {
      const own = at(expr.value.columnInfo);
      const other = of(expr.value.value);
      if (expr.value.op === OpType.PrefixMatch) return (own as string).startsWith(other as string);
      if (expr.value.op === OpType.PostfixMatch) return (own as string).endsWith(other as string);
      if (expr.value.op === OpType.InnerMatch) return (own as string).includes(other as string);
      return compared(own, OpType[expr.value.op]!, other);
    }
    case "termExpr":
      return expr.value.values.some((value) => at(expr.value.columnInfo) === of(value));
    case "binaryRangeExpr": {
      const own = at(expr.value.columnInfo);
      return compared(own, expr.value.lowerInclusive ? "GreaterEqual" : "GreaterThan", of(expr.value.lowerValue)) &&
        compared(own, expr.value.upperInclusive ? "LessEqual" : "LessThan", of(expr.value.upperValue));
    }
    case "compareExpr":
      return compared(at(expr.value.leftColumnInfo), OpType[expr.value.op]!, at(expr.value.rightColumnInfo));
    case "binaryArithOpEvalRangeExpr": {
      const [left, right] = [at(expr.value.columnInfo) as bigint, of(expr.value.rightOperand) as bigint];
      const result =
        { [ArithOpType.Add]: left + right, [ArithOpType.Sub]: left - right, [ArithOpType.Mul]: left * right }[
          expr.value.arithOp as ArithOpType.Add | ArithOpType.Sub | ArithOpType.Mul
        ];
      return compared(result, OpType[expr.value.op]!, of(expr.value.value));
    }
    case "unaryExpr":
      return !holds(expr.value.child!, row);
    case "binaryExpr": {
      const [left, right] = [holds(expr.value.left!, row), holds(expr.value.right!, row)];
      return expr.value.op === BinaryExpr_BinaryOp.LogicalAnd ? left && right : left || right;
    }
    default:
      throw new Error(`no rule for ${expr.case}`);
  }
}

Deno.test("predicateText writes an expression that holds of the rows of which its plan holds", () => {
  fc.assert(
    fc.property(anyExpr, fc.array(anyRow, { minLength: 1, maxLength: 5 }), (init, rows) => {
      const translated = textOf(init);
      assert.ok(translated.kind === "expression", JSON.stringify(translated));
      const plan = create(ExprSchema, init);
      for (const row of rows) assert.equal(meets(translated.text, row), holds(plan, row), translated.text);
    }),
    { numRuns: 1000 },
  );
});

Deno.test("predicateText writes columns with their path, lists and texts as Milvus' grammar has them", () => {
  const meta = column(105n, { nestedPath: ["a", 'b"c', "0"], dataType: DataType.JSON });
  const said = (expr: Init) => {
    const translated = textOf(expr);
    return translated.kind === "expression" ? translated.text : `? ${translated.node}`;
  };
  assert.equal(
    said({ expr: { case: "unaryRangeExpr", value: { columnInfo: meta, op: OpType.Equal, value: text("x") } } }),
    '$meta["a"]["b\\"c"]["0"] == "x"',
  );
  const item = column(103n, { nestedPath: ["2"], dataType: DataType.Array });
  assert.equal(
    said({ expr: { case: "unaryRangeExpr", value: { columnInfo: item, op: OpType.LessThan, value: int(7n) } } }),
    "s[2] < 7",
  );
  assert.equal(said({ expr: { case: "existsExpr", value: { info: meta } } }), 'exists $meta["a"]["b\\"c"]["0"]');
  const any = { columnInfo: meta, elements: [int(1n), text("b")], op: JSONContainsExpr_JSONOp.ContainsAny };
  assert.equal(
    said({ expr: { case: "jsonContainsExpr", value: any } }),
    'json_contains_any($meta["a"]["b\\"c"]["0"], [1, "b"])',
  );
  assert.equal(
    said({ expr: { case: "nullExpr", value: { columnInfo: column(101n), op: NullExpr_NullOp.IsNull } } }),
    "n is null",
  );
  const whole = { columnInfo: column(102n), op: OpType.Equal, value: literal(3) };
  assert.equal(said({ expr: { case: "unaryRangeExpr", value: whole } }), "f == 3.0");
  const least = { columnInfo: column(100n), values: [int(-(2n ** 63n))] };
  assert.equal(said({ expr: { case: "termExpr", value: least } }), "id in [-9223372036854775807 - 1]");
});

Deno.test("predicateText names the node that has no translation", () => {
  const nodeOf = (expr: Init) => {
    const translated = textOf(expr);
    assert.ok(translated.kind === "unknown", JSON.stringify(translated));
    return translated.node;
  };
  const columnInfo = column(103n);
  assert.equal(nodeOf({ expr: { case: "randomSampleExpr", value: { sampleFactor: 0.1 } } }), "RandomSampleExpr");
  assert.equal(nodeOf({ expr: { case: "alwaysTrueExpr", value: {} } }), "AlwaysTrueExpr");
  assert.equal(
    nodeOf({ isTemplate: true, expr: { case: "alwaysTrueExpr", value: {} } }),
    "Expr (with template variables)",
  );
  assert.equal(nodeOf({}), "Expr (empty)");
  for (const op of [OpType.TextMatch, OpType.PhraseMatch, OpType.RegexMatch, OpType.Match]) {
    const value = { columnInfo, op, value: text("a") };
    assert.equal(nodeOf({ expr: { case: "unaryRangeExpr", value } }), `UnaryRangeExpr (${OpType[op]})`);
  }
  const sign = { columnInfo, op: OpType.PrefixMatch, value: text("10%") };
  assert.equal(nodeOf({ expr: { case: "unaryRangeExpr", value: sign } }), "UnaryRangeExpr (PrefixMatch)");
  const gone = { columnInfo: column(999n), op: OpType.Equal, value: text("a") };
  assert.equal(nodeOf({ expr: { case: "unaryRangeExpr", value: gone } }), "ColumnInfo (field 999)");
  // Wherever it stands.
  const child = { expr: { case: "unaryRangeExpr" as const, value: gone } };
  assert.equal(
    nodeOf({ expr: { case: "unaryExpr", value: { op: UnaryExpr_UnaryOp.Not, child } } }),
    "ColumnInfo (field 999)",
  );
  const query = create(PlanNodeSchema, { node: { case: "query", value: { predicates: child, limit: 5n } } });
  assert.deepEqual(predicateText(query, nameOf), {
    kind: "unknown",
    node: "QueryPlanNode (with more than a predicate)",
  });
  assert.deepEqual(predicateText(create(PlanNodeSchema, {}), nameOf), { kind: "unknown", node: "PlanNode (empty)" });
});
