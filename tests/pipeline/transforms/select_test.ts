import assert from "node:assert/strict";
import { globProblem, makeSelector } from "../../../pipeline/transforms/mod.ts";

Deno.test("makeSelector takes what include matches and exclude does not", () => {
  const { selects, selectsDatabase } = makeSelector({
    include: ["sales.*", "default.item_?"],
    exclude: ["sales.tmp*", "scratch.*"],
  });
  assert.deepEqual([
    selects("sales", "orders"),
    selects("sales", "tmp1"),
    selects("default", "item_1"),
    selects("default", "item_12"),
  ], [true, false, true, false]);
  assert.deepEqual([selects("salesX", "orders"), selects("Sales", "orders")], [false, false]);
  assert.deepEqual(["sales", "default", "other"].map(selectsDatabase), [true, true, false]);
  const all = makeSelector({ include: ["*.*"], exclude: ["scratch.*", "half.a*"] });
  assert.deepEqual(["scratch", "half", "x"].map(all.selectsDatabase), [false, true, true]);
});

Deno.test("makeSelector takes a $ and a - in a name for themselves", () => {
  const { selects } = makeSelector({ include: ["a-b.$x"], exclude: [] });
  assert.deepEqual([selects("a-b", "$x"), selects("a_b", "$x")], [true, false]);
});

Deno.test("globProblem says what is expected of a pattern", () => {
  for (const good of ["*.*", "a.b", "db_1.c?", "*x.*y*"]) assert.equal(globProblem(good), undefined, good);
  assert.match(globProblem("orders")!, /expected database\.collection/);
  assert.match(globProblem("a.b.c")!, /expected database\.collection/);
  assert.match(globProblem(".x")!, /expected database\.collection/);
  assert.match(globProblem("a.b[c")!, /character "\["/);
  assert.throws(() => makeSelector({ include: ["x"], exclude: [] }), RangeError);
});
