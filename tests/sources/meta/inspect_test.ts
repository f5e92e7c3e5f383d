import assert from "node:assert/strict";
import { inspectMeta } from "../../../sources/meta/inspect.ts";
import { vectorExpectation, vectorReading } from "./vectors.ts";

for (const name of ["meta-v22", "meta-v23", "meta-v24", "meta-v25", "meta-v25-torn", "meta-v26"]) {
  Deno.test(`inspectMeta shows ${name} as Milvus' own records were meant`, () => {
    assert.deepEqual(inspectMeta(vectorReading(name)), vectorExpectation(name));
  });
}
