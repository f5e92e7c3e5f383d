import assert from "node:assert/strict";
import { routedGrant } from "../../../../pipeline/flow/rows/rbac.ts";
import { makeRouter } from "../../../../pipeline/transforms/mod.ts";

Deno.test("routedGrant gives a grant the names that its database and collection have on the target", () => {
  const router = makeRouter([{ from: "a.*", to: "b.*_copy" }]);
  const grant = { role: "r", objectType: "Collection", object: "c", dbName: "a", privilege: "Query", grantor: "root" };
  assert.deepEqual(routedGrant(router, grant), { ...grant, dbName: "b", object: "c_copy" });
  assert.deepEqual(routedGrant(router, { ...grant, object: "*" }), { ...grant, dbName: "b", object: "*" });
  const global = { ...grant, objectType: "Global", object: "*", privilege: "ShowCollections" };
  assert.equal(routedGrant(router, global).dbName, "b");
  for (const dbName of ["*", "", "other"]) {
    assert.deepEqual(routedGrant(router, { ...grant, dbName }), { ...grant, dbName });
  }
});
