import assert from "node:assert/strict";
import fc from "fast-check";
import { TidemarkError } from "../../../pipeline/errors.ts";
import { decodeOldImport } from "../../../sources/meta/old_import.ts";
import { oldImportBytes } from "./old_import_bytes.ts";

Deno.test("decodeOldImport reads the task of 2.2 and 2.3 that later protos forgot", () => {
  const bytes = oldImportBytes({ id: 8, collectionId: 100, code: 6, segments: [5, 6], rows: 12 });
  assert.deepEqual(decodeOldImport(bytes, "importtask/8"), {
    id: 8n,
    collectionId: 100n,
    state: "completed",
    stateName: "Completed",
    segmentIds: [5n, 6n],
    rows: 12n,
  });
});

Deno.test("decodeOldImport says damaged for bytes that are none", () => {
  fc.assert(fc.property(fc.uint8Array({ maxLength: 60 }), (bytes) => {
    try {
      decodeOldImport(bytes, "importtask/8");
    } catch (error) {
      assert.ok(error instanceof TidemarkError && error.code === "damaged", String(error));
    }
  }));
});
