import assert from "node:assert/strict";
import { DataType } from "../../../../pipeline/proto/gen/schema_pb.ts";
import { featuresOf } from "../../../../sinks/milvus/features.ts";
import { planCollection } from "../../../../sinks/milvus/plan/collection.ts";
import { field, storedSchema, wanted } from "../sample.ts";

const MISSING = { current: { kind: "missing" }, previous: undefined, aliasOwners: new Map() } as const;

function made(version: string, more: Parameters<typeof wanted>[1], shards?: number) {
  const options = {
    parts: "structure",
    autoId: "preserve",
    features: featuresOf(version),
    replicas: undefined,
  } as const;
  const [step] = planCollection(wanted("items", more), MISSING, { ...options, shards });
  return step!;
}

const partitions = Array.from({ length: 2000 }, (_, i) => ({ id: BigInt(i), name: `p${i}`, createTs: 0n }));

Deno.test("planCollection makes a collection with as many shards as the sink says, and as the source has otherwise", () => {
  for (const [shards, expected] of [[undefined, 3], [1, 1], [8, 8]] as const) {
    const { action, sentence } = made("2.6.19", { shards: 3 }, shards);
    assert.ok(action.do === "create_collection");
    assert.equal(action.shards, expected);
    assert.match(sentence, new RegExp(`, ${expected} ${expected === 1 ? "shard" : "shards"}\\)$`));
  }
});

Deno.test("planCollection says what is beyond the limits that a release has by default", () => {
  assert.deepEqual(made("2.3.5", { partitions }).doubts, undefined);
  assert.deepEqual(made("2.4.4", { partitions }).doubts, undefined);
  for (const version of ["2.4.5", "2.5.27", "2.6.19", "3.0.0"]) {
    assert.deepEqual(made(version, { partitions }).doubts, [
      `2000 partitions, Milvus ${version} takes 1024 unless its rootCoord.maxPartitionNum says more`,
    ]);
  }
  assert.match(made("2.6.19", { shards: 32 }).doubts![0]!, /^32 shards, Milvus 2\.6\.19 takes 16/);
  assert.equal(made("2.6.19", { shards: 32 }, 16).doubts, undefined);
  const wide = storedSchema([
    field("id", DataType.Int64, { isPrimaryKey: true }),
    field("v".repeat(300), DataType.FloatVector, {}, { dim: 40_000 }),
    ...Array.from({ length: 4 }, (_, i) => field(`w${i}`, DataType.FloatVector, {}, { dim: 4 })),
    ...Array.from({ length: 60 }, (_, i) => field(`t${i}`, DataType.VarChar, {}, { max_length: i === 0 ? 70_000 : 9 })),
  ]);
  const phrases = made("3.0.0", { schema: wide }).doubts!.map((phrase) => phrase.split(", Milvus")[0]!.slice(0, 40));
  assert.deepEqual(phrases, [
    "66 fields",
    "5 vector fields",
    "40000 dimensions of field vvvvvvvvvvvvvv",
    "300 characters in the name vvvvvvvvvvvvv",
    "70000 bytes as max_length of field t0",
  ]);
});

Deno.test("planCollection holds several vector fields where a release takes one", () => {
  const schema = storedSchema([
    field("id", DataType.Int64, { isPrimaryKey: true }),
    field("a", DataType.FloatVector, {}, { dim: 4 }),
    field("b", DataType.FloatVector, {}, { dim: 4 }),
  ]);
  const { action } = made("2.3.5", { schema });
  assert.ok(action.do === "impossible");
  assert.match(action.reason, /does not know several vector fields in one collection \(a, b\)/);
  assert.equal(made("2.4.0", { schema }).action.do, "create_collection");
});
