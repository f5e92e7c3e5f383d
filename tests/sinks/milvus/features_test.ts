import assert from "node:assert/strict";
import { DataType } from "../../../pipeline/proto/gen/schema_pb.ts";
import { featuresOf } from "../../../sinks/milvus/features.ts";

Deno.test("featuresOf reads the versions that servers give", () => {
  assert.equal(featuresOf("v2.3.5-lite").lite, false);
  assert.equal(featuresOf("v2.3.5-lite").nullable, false);
  assert.equal(featuresOf("2.6.6").nullable, true);
  assert.equal(featuresOf("milvus_lite-3.2.2").lite, true);
  assert.equal(featuresOf("master-a1b2c3").addsFields, true);
});

Deno.test("featuresOf knows from which release on a type can be stored", () => {
  assert.equal(featuresOf("2.3.5").knowsType(DataType.SparseFloatVector), false);
  assert.equal(featuresOf("2.4.0").knowsType(DataType.SparseFloatVector), true);
  assert.equal(featuresOf("2.2.16").knowsType(DataType.Array), false);
  assert.equal(featuresOf("2.3.5").knowsType(DataType.FloatVector), true);
});

Deno.test("featuresOf trusts only the bulk import that was looked at", () => {
  const trusted = ["v2.3.5-lite", "2.3.5", "2.3.22"];
  for (const version of trusted) assert.equal(featuresOf(version).importsBackups, true, version);
  for (const version of ["2.3.3", "2.2.16", "2.4.0", "2.6.6", "milvus_lite-3.2.2", "master-a1b2c3"]) {
    assert.equal(featuresOf(version).importsBackups, false, version);
  }
});
