import assert from "node:assert/strict";
import { makeRouter, routeProblem } from "../../../pipeline/transforms/mod.ts";

Deno.test("makeRouter carries over what each * matched and takes the first rule that fits", () => {
  const { route } = makeRouter([
    { from: "sales.orders", to: "archive.old_orders" },
    { from: "sales.*", to: "sales_dr.*" },
    { from: "t_*.log_*", to: "tenant_*.*_log" },
    { from: "x.*_*", to: "y.*" },
  ]);
  assert.deepEqual(route("sales", "orders"), { db: "archive", name: "old_orders" });
  assert.deepEqual(route("sales", "items"), { db: "sales_dr", name: "items" });
  assert.deepEqual(route("t_7", "log_a"), { db: "tenant_7", name: "a_log" });
  assert.deepEqual(route("x", "a_b"), { db: "y", name: "a" });
  assert.deepEqual(route("other", "items"), { db: "other", name: "items" });
});

Deno.test("makeRouter routes a database by the first rule that takes all of it", () => {
  const { routeDatabase } = makeRouter([
    { from: "sales.orders", to: "archive.orders" },
    { from: "sales.*", to: "sales_dr.*" },
    { from: "t_*.*", to: "*.*" },
    { from: "one.*", to: "by_*.rows" },
  ]);
  assert.deepEqual(["sales", "t_9", "one", "other"].map(routeDatabase), ["sales_dr", "9", "one", "other"]);
});

Deno.test("makeRouter names all sources that meet on one target, and the sources of a target", () => {
  const { collisions, sourcesOf } = makeRouter([{ from: "a.*", to: "all.*" }, { from: "b.*", to: "all.*" }]);
  const sources = [{ db: "a", name: "x" }, { db: "b", name: "x" }, { db: "b", name: "y" }, { db: "all", name: "y" }];
  assert.deepEqual(collisions(sources), [
    { target: { db: "all", name: "x" }, sources: [{ db: "a", name: "x" }, { db: "b", name: "x" }] },
    { target: { db: "all", name: "y" }, sources: [{ db: "b", name: "y" }, { db: "all", name: "y" }] },
  ]);
  assert.deepEqual(sourcesOf({ db: "all", name: "x" }, sources), [{ db: "a", name: "x" }, { db: "b", name: "x" }]);
});

Deno.test("routeProblem says why a rule cannot be used", () => {
  assert.equal(routeProblem({ from: "a.*", to: "b.*" }), undefined);
  assert.match(routeProblem({ from: "a.b", to: "b.*" })!, /has 1 "\*" but "a\.b" only 0/);
  assert.match(routeProblem({ from: "a.?", to: "b.?" })!, /has a "\?"/);
  assert.match(routeProblem({ from: "a", to: "b.c" })!, /expected database\.collection/);
  assert.throws(() => makeRouter([{ from: "a.b", to: "b" }]), RangeError);
});
