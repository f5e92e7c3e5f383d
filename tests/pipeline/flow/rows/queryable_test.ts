import assert from "node:assert/strict";
import { create } from "@bufbuild/protobuf";
import { untilQueryable } from "../../../../pipeline/flow/rows/queryable.ts";
import type { Collection, RowSink } from "../../../../pipeline/model/mod.ts";
import { Waits } from "../../../../pipeline/waits.ts";
import { CollectionSchemaSchema } from "../../../../pipeline/proto/gen/schema_pb.ts";

const TARGET = { db: "default", name: "c" };
const ROWS = { byPartition: new Map([[1n, 100n]]), imported: true };

function collection(ttlSeconds: string): Collection {
  return {
    dbName: "default",
    name: "c",
    schema: create(CollectionSchemaSchema, {}),
    properties: ttlSeconds === "" ? {} : { "collection.ttl.seconds": ttlSeconds },
    partitions: [{ id: 1n, name: "_default", createTs: 0n }],
    load: { scope: "collection", partitionIds: [], replicas: 1, loadFields: [], loaded: true },
  } as unknown as Collection;
}

/** Counts what `counts` says, the last of it from then on; each count takes a minute. */
async function wait(ttlSeconds: string, beganMs: number, counts: readonly bigint[]): Promise<string[]> {
  let now = 1_000_000;
  let asked = 0;
  const said: string[] = [];
  const shown: string[] = [];
  const report = { info: (message: string) => said.push(message), warn() {}, ddl() {}, blocked() {} };
  const count = () => {
    if (asked > 0) shown.push(...waits.list().map(({ collection, reason }) => `${collection}: ${reason}`));
    now += 60_000;
    return Promise.resolve(counts[Math.min(asked++, counts.length - 1)]!);
  };
  const sink = { count } as unknown as RowSink;
  const { signal } = new AbortController();
  const waits = new Waits(() => now);
  await untilQueryable({ now: () => now, report, waits }, sink, TARGET, collection(ttlSeconds), ROWS, beganMs, signal);
  assert.deepEqual(waits.list(), []);
  if (counts.length > 1) assert.match(shown[0]!, /^default\.c: The target shows 0 of 100 imported rows$/);
  return said;
}

Deno.test("untilQueryable does not wait for rows whose time to live has passed since the import began", async () => {
  assert.match((await wait("60", 900_000, [0n, 40n, 30n, 0n])).join(), /0 of 100 rows are left/);
});

Deno.test("untilQueryable waits for all rows, and says what is wrong, where none can have expired", async () => {
  assert.deepEqual(await wait("3600", 900_000, [0n, 100n]), []);
  for (const ttl of ["3600", ""]) await assert.rejects(wait(ttl, 900_000, [40n]), /has 40 rows/);
  // More than there should be is wrong whatever the time to live.
  await assert.rejects(wait("60", 900_000, [130n]), /has 130 rows/);
});
