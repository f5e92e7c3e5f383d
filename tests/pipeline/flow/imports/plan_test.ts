import assert from "node:assert/strict";
import { create } from "@bufbuild/protobuf";
import { commonFolder } from "../../../../pipeline/flow/imports/files.ts";
import { type DividedSegment, fileFault, planImport, portionsOf } from "../../../../pipeline/flow/imports/plan.ts";
import type { BinlogSource, Collection, Cut, Segment } from "../../../../pipeline/model/mod.ts";
import { CollectionSchemaSchema, DataType } from "../../../../pipeline/proto/gen/schema_pb.ts";
import { homePartition } from "../../../../pipeline/transforms/mod.ts";

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

/** What an import of a segment with these partition keys, all in partition 0 of three, comes to. */
async function plannedOf(tenants: readonly bigint[], dead: readonly number[]) {
  const partitions = [0n, 1n, 2n].map((id) => ({ id, name: `_default_${id}`, createTs: 0n }));
  const fields = [
    { fieldID: 100n, name: "id", isPrimaryKey: true, dataType: DataType.Int64 },
    { fieldID: 101n, name: "tenant", isPartitionKey: true, dataType: DataType.Int64 },
  ];
  const byTenant = { schema: create(CollectionSchemaSchema, { fields }), partitions } as unknown as Collection;
  const values = BigInt64Array.from(tenants);
  const binlogs = {
    async *rows() {
      yield await Promise.resolve({
        firstRow: 0,
        rows: values.length,
        columns: [100n, 101n].map((fieldId) => ({ fieldId, name: "", type: 5, data: { kind: "int64", values } })),
        timestamps: new BigUint64Array(values.length).fill(5n),
      });
    },
  } as unknown as BinlogSource;
  const found = {
    rows: values.length,
    dead: Uint32Array.from(dead),
    counts: { later: 0, deleted: dead.length, duplicates: 0 },
  };
  const cuts = [{ vchannel: "v", ts: 9n } as Cut];
  const one = segment(1n, WHOLE, { partitionId: 0n, vchannel: "v" });
  const plan = await planImport(
    { binlogs },
    byTenant,
    cuts,
    [one],
    new Map([[1n, found]]),
    new AbortController().signal,
  );
  const home = homePartition(byTenant)!;
  return { imported: plan.divided.length, reasons: [...plan.byRows.keys()], home };
}

Deno.test("planImport writes a segment by rows where a living row is not in the partition that its partition key says", async () => {
  const { home } = await plannedOf([], []);
  const all = Array.from({ length: 40 }, (_, i) => BigInt(i));
  const own = all.filter((tenant) => home(tenant) === 0n);
  const foreign = all.find((tenant) => home(tenant) !== 0n)!;
  assert.equal((await plannedOf(own, [])).imported, 1);
  const misplaced = await plannedOf([...own, foreign], []);
  assert.equal(misplaced.imported, 0);
  assert.match(misplaced.reasons.join(), /partitions where a query by their partition key does not look/);
  // A dead one is in nobody's way.
  assert.equal((await plannedOf([...own, foreign], [own.length])).imported, 1);
});
