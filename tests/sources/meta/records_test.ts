import assert from "node:assert/strict";
import { TidemarkError } from "../../../pipeline/errors.ts";
import { parseRecords } from "../../../sources/meta/records.ts";

Deno.test("parseRecords reads one key a line and skips empty lines", () => {
  assert.deepEqual([...parseRecords('{"key":"a","value":"AQI="}\n\n{"key":"b","value":""}\n')], [
    { key: "a", value: new Uint8Array([1, 2]) },
    { key: "b", value: new Uint8Array() },
  ]);
});

Deno.test("parseRecords names the line that is wrong", () => {
  for (const line of ["nonsense", '{"key":1,"value":""}', '{"key":"a"}', '{"key":"a","value":"***"}', "null"]) {
    assert.throws(
      () => [...parseRecords(`{"key":"a","value":""}\n${line}`)],
      (error: unknown) =>
        error instanceof TidemarkError && error.code === "damaged" && error.message.startsWith("Line 2 "),
    );
  }
});
