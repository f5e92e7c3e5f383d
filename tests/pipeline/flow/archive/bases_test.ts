import assert from "node:assert/strict";
import { failedBase, goodBase } from "../../../../pipeline/flow/archive/bases.ts";

Deno.test("failedBase counts what failed since the last good base, and goodBase begins anew", () => {
  const never = failedBase(undefined, "no route", 0);
  assert.deepEqual(never, { triedAt: "1970-01-01T00:00:00.000Z", goodAt: "", failures: 1, error: "no route" });
  const good = goodBase(1000);
  assert.deepEqual(good, {
    triedAt: "1970-01-01T00:00:01.000Z",
    goodAt: "1970-01-01T00:00:01.000Z",
    failures: 0,
    error: "",
  });
  const twice = failedBase(failedBase(good, "a", 2000), "b", 3000);
  assert.deepEqual(twice, { triedAt: "1970-01-01T00:00:03.000Z", goodAt: good.goodAt, failures: 2, error: "b" });
});
