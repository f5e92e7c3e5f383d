import assert from "node:assert/strict";
import { create } from "@bufbuild/protobuf";
import { commonFolder } from "../../../../pipeline/flow/imports/files.ts";
import { type DividedSegment, fileFault, portionsOf } from "../../../../pipeline/flow/imports/plan.ts";
import type { Collection, Segment } from "../../../../pipeline/model/mod.ts";
import { CollectionSchemaSchema } from "../../../../pipeline/proto/gen/schema_pb.ts";

const schema = create(CollectionSchemaSchema, {
  fields: [{ fieldID: 100n, name: "id" }, { fieldID: 101n, name: "v" }],
});
const collection = { schema } as Collection;

function segment(id: bigint, fields: Record<string, readonly bigint[]>, more: Partial<Segment> = {}): Segment {
  const binlogs = Object.entries(fields).map(([field, logs]) => ({
    fieldId: BigInt(field),
    childFields: [],
    files: logs.map((logId) => ({ path: "", logId, entries: 0n, tsFrom: 0n, tsTo: 0n, size: 10n })),
  }));
  return { id, partitionId: 1n, storageVersion: 0n, manifestPath: "", binlogs, ...more } as Segment;
}

const WHOLE = { "0": [11n, 21n], "1": [12n, 22n], "100": [13n, 23n], "101": [14n, 24n] };

Deno.test("fileFault passes a segment with as many files of every field, in the order of their names", () => {
  assert.equal(fileFault(segment(1n, WHOLE), collection), undefined);
});

Deno.test("fileFault says what an import could not read right", () => {
  const faults: [Record<string, readonly bigint[]>, RegExp, Partial<Segment>?][] = [
    [{ ...WHOLE, "101": [] }, /no files of field 101/],
    [{ ...WHOLE, "1": [12n] }, /files, others have/],
    [{ ...WHOLE, "102": [15n, 25n] }, /field 102 that the schema does not know/],
    // As text 100 comes before 99.
    [{ ...WHOLE, "100": [99n, 100n] }, /order of their names/],
    [WHOLE, /storage version 2/, { storageVersion: 2n }],
    [WHOLE, /a manifest names its files/, { storageVersion: 2n, manifestPath: "{}" }],
  ];
  for (const [fields, message, more] of faults) {
    assert.match(fileFault(segment(1n, fields, more), collection)!, message);
  }
});

function divided(id: bigint, partitionId: bigint, endMs: bigint | undefined): DividedSegment {
  return {
    segment: segment(id, WHOLE, { partitionId }),
    endMs,
    deletes: undefined,
    imported: 1,
    rest: new Uint32Array(),
  };
}

Deno.test("portionsOf puts segments of one partition and one end together, up to a size", () => {
  const all = [
    divided(1n, 1n, undefined),
    divided(2n, 2n, undefined),
    divided(3n, 1n, undefined),
    divided(4n, 1n, 5n),
    divided(5n, 1n, undefined),
  ];
  const shown = portionsOf(all, 160n).map(({ partitionId, endMs, segments, bytes }) => [
    partitionId,
    endMs,
    segments.map(({ segment }) => segment.id),
    bytes,
  ]);
  assert.deepEqual(shown, [
    [1n, undefined, [1n, 3n], 160n],
    [1n, undefined, [5n], 80n],
    [2n, undefined, [2n], 80n],
    [1n, 5n, [4n], 80n],
  ]);
});

Deno.test("commonFolder is the deepest folder that holds all, or is the only one", () => {
  assert.equal(commonFolder(["b/insert_log/1/2/3/3", "b/insert_log/1/2/4/4"]), "b/insert_log/1/2/");
  assert.equal(commonFolder(["b/insert_log/1/2/3/3"]), "b/insert_log/1/2/3/3/");
  assert.equal(commonFolder(["b/12/3", "b/123/3"]), "b/");
  assert.equal(commonFolder(["a/1", "b/1"]), "");
  assert.equal(commonFolder([]), "");
});
