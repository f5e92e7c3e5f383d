import assert from "node:assert/strict";
import { create, type MessageInitShape } from "@bufbuild/protobuf";
import fc from "fast-check";
import type { AgreedColumn } from "../../../pipeline/model/mod.ts";
import {
  BinaryExpr_BinaryOp,
  type Expr,
  ExprSchema,
  type GenericValueSchema,
  NullExpr_NullOp,
  OpType,
  PlanNodeSchema,
  UnaryExpr_UnaryOp,
} from "../../../pipeline/proto/gen/plan_pb.ts";
import { CollectionSchemaSchema, DataType } from "../../../pipeline/proto/gen/schema_pb.ts";
import { predicateFilter } from "../../../pipeline/transforms/predicate_filter.ts";
import { compared, meets, type Row, type Value } from "../../fakes/expression.ts";

type Init = MessageInitShape<typeof ExprSchema>;
type Literal = MessageInitShape<typeof GenericValueSchema>;

const FIELDS = [
  { fieldID: 1n, name: "Timestamp", dataType: DataType.Int64 },
  { fieldID: 100n, name: "id", dataType: DataType.Int64 },
  { fieldID: 101n, name: "n", dataType: DataType.Int8, nullable: true },
  { fieldID: 102n, name: "f", dataType: DataType.Float, nullable: true },
  { fieldID: 103n, name: "s", dataType: DataType.VarChar },
  { fieldID: 104n, name: "b", dataType: DataType.Bool, nullable: true },
  { fieldID: 105n, name: "d", dataType: DataType.Double },
  { fieldID: 106n, name: "$meta", dataType: DataType.JSON, isDynamic: true },
];
const SCHEMA = create(CollectionSchemaSchema, { fields: FIELDS });
const NAMES = new Map(FIELDS.map(({ fieldID, name }) => [fieldID, name]));

function filterOf(expr: Init, agreed: readonly AgreedColumn[] = []): string {
  const plan = create(PlanNodeSchema, { node: { case: "predicates", value: expr } });
  const filter = predicateFilter(plan, SCHEMA, agreed);
  return filter.kind === "expression" ? filter.text : `? ${filter.node}`;
}

function column(name: string) {
  const { fieldID, dataType } = FIELDS.find((field) => field.name === name)!;
  return { fieldId: fieldID, dataType };
}

function literal(value: Exclude<Value, null>): Literal {
  switch (typeof value) {
    case "bigint":
      return { val: { case: "int64Val", value } };
    case "number":
      return { val: { case: "floatVal", value } };
    case "string":
      return { val: { case: "stringVal", value } };
    case "boolean":
      return { val: { case: "boolVal", value } };
  }
}

const range = (name: string, op: OpType, value: Exclude<Value, null>): Init => ({
  expr: { case: "unaryRangeExpr", value: { columnInfo: column(name), op, value: literal(value) } },
});
const among = (name: string, values: readonly Exclude<Value, null>[]): Init => ({
  expr: { case: "termExpr", value: { columnInfo: column(name), values: values.map(literal) } },
});
const isNull = (name: string, op = NullExpr_NullOp.IsNull): Init => ({
  expr: { case: "nullExpr", value: { columnInfo: column(name), op } },
});
const not = (child: Init): Init => ({ expr: { case: "unaryExpr", value: { op: UnaryExpr_UnaryOp.Not, child } } });
const both = (op: BinaryExpr_BinaryOp, left: Init, right: Init): Init => ({
  expr: { case: "binaryExpr", value: { op, left, right } },
});

const VALUES: Readonly<Record<string, fc.Arbitrary<Exclude<Value, null>>>> = {
  id: fc.bigInt(-3n, 3n),
  n: fc.bigInt(-2n, 2n),
  f: fc.constantFrom(-1.5, 0, 0.25, 7),
  s: fc.constantFrom("", "a", "ab", 'q"\\'),
  b: fc.boolean(),
  d: fc.double({ noNaN: true, noDefaultInfinity: true }),
};
const NULLABLE = ["n", "f", "b"];
const ORDERED = [
  OpType.GreaterThan,
  OpType.GreaterEqual,
  OpType.LessThan,
  OpType.LessEqual,
  OpType.Equal,
  OpType.NotEqual,
];

const leaf: fc.Arbitrary<Init> = fc.constantFrom(...Object.keys(VALUES)).chain((name) => {
  const ops = name === "b" ? [OpType.Equal, OpType.NotEqual] : ORDERED;
  const kinds = [
    fc.tuple(fc.constantFrom(...ops), VALUES[name]!).map(([op, value]) => range(name, op, value)),
    fc.array(VALUES[name]!, { minLength: 1, maxLength: 3 }).map((values) => among(name, values)),
  ];
  if (NULLABLE.includes(name)) {
    kinds.push(fc.constantFrom(NullExpr_NullOp.IsNull, NullExpr_NullOp.IsNotNull).map((op) => isNull(name, op)));
  }
  return fc.oneof(...kinds);
});

const { expr: anyExpr } = fc.letrec<{ expr: Init }>((tie) => ({
  expr: fc.oneof(
    { maxDepth: 4, withCrossShrink: true },
    leaf,
    tie("expr").map(not),
    fc.tuple(
      fc.constantFrom(BinaryExpr_BinaryOp.LogicalAnd, BinaryExpr_BinaryOp.LogicalOr),
      tie("expr"),
      tie("expr"),
    ).map(([op, left, right]) => both(op, left, right)),
  ),
}));

const anyRow: fc.Arbitrary<Row> = fc.record(
  Object.fromEntries(
    Object.entries(VALUES).map(([name, value]) => [
      name,
      NULLABLE.includes(name) ? fc.option<Value>(value) : value as fc.Arbitrary<Value>,
    ]),
  ),
);

/**
 * What a plan says of a row with nulls; null: neither. `strict`: a null on one side makes all of it null, else only where the
 * other side does not decide.
 */
function says({ expr }: Expr, row: Row, strict: boolean): boolean | null {
  switch (expr.case) {
    case "unaryRangeExpr": {
      const own = row[NAMES.get(expr.value.columnInfo!.fieldId)!]!;
      return own === null ? null : compared(own, OpType[expr.value.op]!, expr.value.value!.val.value as Value);
    }
    case "termExpr": {
      const own = row[NAMES.get(expr.value.columnInfo!.fieldId)!]!;
      return own === null ? null : expr.value.values.some(({ val }) => val.value === own);
    }
    case "nullExpr": {
      const own = row[NAMES.get(expr.value.columnInfo!.fieldId)!];
      return (own === null) === (expr.value.op === NullExpr_NullOp.IsNull);
    }
    case "unaryExpr": {
      const child = says(expr.value.child!, row, strict);
      return child === null ? null : !child;
    }
    case "binaryExpr": {
      const sides = [says(expr.value.left!, row, strict), says(expr.value.right!, row, strict)];
      if (strict && sides.includes(null)) return null;
      const decides = expr.value.op === BinaryExpr_BinaryOp.LogicalOr;
      if (sides.includes(decides)) return decides;
      return sides.includes(null) ? null : !decides;
    }
    default:
      throw new Error(`no rule for ${expr.case}`);
  }
}

Deno.test("predicateFilter writes an expression that holds of the rows of which its plan is true, whatever a null makes of the rest", () => {
  let written = 0;
  fc.assert(
    fc.property(anyExpr, fc.array(anyRow, { minLength: 1, maxLength: 5 }), (init, rows) => {
      const text = filterOf(init);
      if (text.startsWith("? ")) return void assert.match(text, /over a field that may be null\)$/);
      written++;
      const plan = create(ExprSchema, init);
      for (const row of rows) {
        for (const strict of [true, false]) assert.equal(meets(text, row), says(plan, row, strict) === true, text);
      }
    }),
    { numRuns: 1000 },
  );
  assert.ok(written > 300, `${written} of 1000 were written`);
});

Deno.test("predicateFilter names what has no expression, or could mean something else on the target", () => {
  const { Not } = UnaryExpr_UnaryOp;
  const { LogicalOr, LogicalAnd } = BinaryExpr_BinaryOp;
  const one = range("n", OpType.GreaterThan, 1n);
  const columnOf = (more: object): Init => ({
    expr: {
      case: "unaryRangeExpr",
      value: { columnInfo: { ...column("s"), ...more }, op: OpType.Equal, value: literal("a") },
    },
  });
  const cases: [Init, string][] = [
    [range("s", OpType.PrefixMatch, "a"), "UnaryRangeExpr (PrefixMatch)"],
    [range("b", OpType.LessThan, true), "UnaryRangeExpr (LessThan)"],
    [range("n", OpType.LessThan, 128n), "GenericValue (128 of the Int8 field n)"],
    [range("n", OpType.LessThan, 1.5), "GenericValue (1.5 of the Int8 field n)"],
    [range("f", OpType.LessThan, 0.1), "GenericValue (0.1 of the Float field f)"],
    [range("d", OpType.LessThan, 1n), "GenericValue (1 of the Double field d)"],
    [range("s", OpType.Equal, 1n), "GenericValue (1 of the VarChar field s)"],
    [among("id", []), "TermExpr (of no list)"],
    [isNull("id"), "NullExpr (IsNull of id)"],
    [both(LogicalOr, one, range("id", OpType.Equal, 1n)), "BinaryExpr (LogicalOr over a field that may be null)"],
    [
      not(both(LogicalAnd, one, range("id", OpType.Equal, 1n))),
      `UnaryExpr (${UnaryExpr_UnaryOp[Not]} over a field that may be null)`,
    ],
    [columnOf({ fieldId: 900n }), "ColumnInfo (field 900)"],
    [columnOf({ fieldId: 1n, dataType: DataType.Int64 }), "ColumnInfo (field 1)"],
    [columnOf({ nestedPath: ["x"] }), "ColumnInfo (a part of s)"],
    [columnOf({ fieldId: 106n, dataType: DataType.JSON }), "ColumnInfo (a part of $meta)"],
    [columnOf({ dataType: DataType.JSON }), "ColumnInfo (s of type JSON)"],
    [{ expr: { case: "randomSampleExpr", value: { sampleFactor: 0.5 } } }, "RandomSampleExpr"],
    [{ expr: { case: "compareExpr", value: { op: OpType.Equal } } }, "CompareExpr"],
    [{ expr: { case: "alwaysTrueExpr", value: {} } }, "AlwaysTrueExpr"],
    [{}, "Expr (empty)"],
    [{ ...one, isTemplate: true }, "Expr (with template variables)"],
  ];
  for (const [expr, node] of cases) assert.equal(filterOf(expr), `? ${node}`);
  const filled = { fieldId: 103n, field: "s", change: "filled", why: "", value: "", column: "", values: 0n } as const;
  assert.equal(filterOf(columnOf({}), [filled]), "? ColumnInfo (s, which the target does not have as it is)");
  assert.equal(filterOf(columnOf({}), [{ ...filled, change: "plain" }]), 's == "a"');
});
