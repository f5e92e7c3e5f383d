import assert from "node:assert/strict";
import { create } from "@bufbuild/protobuf";
import { ConsistencyLevel } from "../../../../pipeline/proto/gen/common_pb.ts";
import { DataType, FunctionSchemaSchema } from "../../../../pipeline/proto/gen/schema_pb.ts";
import type { Collection } from "../../../../pipeline/model/mod.ts";
import type { Actual, ActualCollection } from "../../../../sinks/milvus/actual.ts";
import { featuresOf } from "../../../../sinks/milvus/features.ts";
import { type ActualState, planCollection, type PlanOptions } from "../../../../sinks/milvus/plan/collection.ts";
import { schemaToCreate } from "../../../../sinks/milvus/plan/schema.ts";
import { collection, field, FLAT, index, LOADED, storedSchema, wanted } from "../sample.ts";

const P = (...names: string[]) => names.map((name, i) => ({ id: BigInt(i + 1), name, createTs: 0n }));

function options(version = "2.3.5", more: Partial<PlanOptions> = {}): PlanOptions {
  return { parts: "all", autoId: "preserve", features: featuresOf(version), replicas: undefined, ...more };
}

/** The target as it would be after `source` had been created there. */
function there(source: Collection, more: Partial<ActualCollection> = {}): Actual {
  const schema = schemaToCreate(source, source.name, "preserve");
  schema.fields.forEach((one, i) => one.fieldID = BigInt(100 + i));
  return {
    kind: "collection",
    collection: {
      id: 99n,
      schema,
      shards: source.shards,
      consistency: source.consistency,
      properties: source.properties,
      partitions: source.partitions.map((one) => one.name),
      aliases: source.aliases,
      indexes: source.indexes.map(({ name, fieldName, params }) => ({ name, fieldName, params, id: "1" })),
      load: source.load === undefined
        ? undefined
        : { loaded: true, partitions: source.partitions.map((one) => one.name), replicas: source.load.replicas },
      ...more,
    },
  };
}

function state(current: Actual, more: Partial<ActualState> = {}): ActualState {
  return { current, previous: undefined, aliasOwners: new Map(), ...more };
}

const MISSING: Actual = { kind: "missing" };

function plan(source: Partial<Collection>, actual: (source: Collection) => ActualState, opts = options()) {
  const want = wanted("items", source);
  return planCollection(want, actual(want.source), opts);
}

const summary = (steps: ReturnType<typeof planCollection>) => steps.map((one) => [one.kind, one.action.do]);
const reasons = (steps: ReturnType<typeof planCollection>) =>
  steps.flatMap((one) => one.action.do === "impossible" ? [one.action.reason] : []);

Deno.test("planCollection does nothing where the target is as wanted", () => {
  assert.deepEqual(plan({ load: LOADED, aliases: ["a"], partitions: P("_default", "p1") }, (s) => state(there(s))), []);
});

Deno.test("planCollection creates everything in the order in which it must be done", () => {
  const steps = plan({ load: LOADED, aliases: ["a"], partitions: P("_default", "p1", "p2") }, () => state(MISSING));
  assert.deepEqual(summary(steps), [
    ["create_collection", "create_collection"],
    ["create_partition", "create_partition"],
    ["create_partition", "create_partition"],
    ["create_alias", "create_alias"],
    ["create_index", "create_index"],
    ["load", "load"],
  ]);
  assert.equal(steps[4]!.sentence, "Create index vec_idx (FLAT, L2) on default.items.vec");
  assert.ok(steps.every((one) => !one.destructive && one.collectionId === 7n));
});

Deno.test("planCollection creates without what servers add themselves", () => {
  const [step] = plan({}, () => state(MISSING));
  assert.equal(step!.action.do, "create_collection");
  if (step!.action.do !== "create_collection") return;
  const { schema } = step!.action;
  assert.deepEqual(schema.fields.map((one) => one.name), ["id", "vec", "text"]);
  assert.equal(schema.enableDynamicField, true);
  assert.deepEqual([...new Set(schema.fields.map((one) => one.fieldID))], [0n]);
});

Deno.test("planCollection turns autoID off unless the target shall make its own keys", () => {
  const schema = storedSchema([
    field("id", DataType.Int64, { isPrimaryKey: true, autoID: true }),
    field("vec", DataType.FloatVector, {}, { dim: 4 }),
  ], { autoID: true });
  for (const [autoId, expected] of [["preserve", false], ["regenerate", true]] as const) {
    const [step] = plan({ schema }, () => state(MISSING), options("2.3.5", { autoId }));
    assert.ok(step!.action.do === "create_collection");
    assert.equal(step!.action.schema.autoID, expected);
    assert.equal(step!.action.schema.fields[0]!.autoID, expected);
  }
});

Deno.test("planCollection gives a partition-key collection as many partitions as the source has, and names none", () => {
  const schema = storedSchema([
    field("id", DataType.Int64, { isPrimaryKey: true }),
    field("vec", DataType.FloatVector, {}, { dim: 4 }),
    field("tenant", DataType.VarChar, { isPartitionKey: true }, { max_length: 10 }),
  ]);
  const partitions = P("_default_0", "_default_1", "_default_2");
  const steps = plan({ schema, partitions, indexes: [] }, () => state(MISSING));
  assert.deepEqual(summary(steps), [["create_collection", "create_collection"]]);
  assert.ok(steps[0]!.action.do === "create_collection");
  assert.equal(steps[0]!.action.partitionCount, 3);
  const fewer = plan({ schema, partitions, indexes: [] }, (s) => state(there(s, { partitions: ["_default_0"] })));
  assert.match(reasons(fewer)[0]!, /1 hash partitions, the source has 3/);
});

Deno.test("planCollection says what an older target does not know, instead of letting it drop it silently", () => {
  const schema = storedSchema([
    field("id", DataType.Int64, { isPrimaryKey: true }),
    field("vec", DataType.SparseFloatVector),
    field("n", DataType.Int32, { nullable: true }),
  ]);
  schema.functions.push(create(FunctionSchemaSchema, { name: "bm25", outputFieldNames: ["vec"] }));
  const steps = plan({ schema }, () => state(MISSING));
  assert.equal(
    reasons(steps)[0],
    "Milvus 2.3.5 on the target does not know the type SparseFloatVector of field vec, null values in field n, the function bm25",
  );
  assert.deepEqual(reasons(plan({ schema }, () => state(MISSING), options("2.6.0"))), []);
});

Deno.test("planCollection renames what the target has under the previous name, and alters it in the same plan", () => {
  const previous = { db: "default", name: "old" };
  const steps = plan(
    { properties: { "collection.ttl.seconds": "60" } },
    (s) => state(MISSING, { previous: { name: previous, actual: there(s, { properties: {} }) } }),
  );
  assert.deepEqual(steps.map((one) => one.sentence), [
    "Rename collection default.old to default.items",
    "Set collection.ttl.seconds=60 on default.items",
  ]);
});

Deno.test("planCollection creates where neither the name nor the previous one is there", () => {
  const previous = { name: { db: "default", name: "old" }, actual: MISSING };
  const steps = plan({}, () => state(MISSING, { previous }));
  assert.equal(steps[0]!.kind, "create_collection");
});

Deno.test("planCollection frees a name that an alias holds", () => {
  const steps = plan({}, () => state({ kind: "alias", of: { name: "other", identity: "5" } }));
  assert.deepEqual(summary(steps).slice(0, 2), [["drop_alias", "drop_alias"], [
    "create_collection",
    "create_collection",
  ]]);
});

Deno.test("planCollection sets and removes properties as the release allows", () => {
  const source = { properties: { a: "1", b: "2" } };
  const actual = (s: Collection) => state(there(s, { properties: { a: "0", b: "2", c: "3" } }));
  const old = plan(source, actual);
  assert.deepEqual(old[0]!.action, { do: "alter_collection", set: { a: "1" }, remove: [] });
  assert.match(reasons(old)[0]!, /cannot remove a property/);
  const recent = plan(source, actual, options("2.5.0"));
  assert.deepEqual(recent[1]!.action, { do: "alter_collection", set: {}, remove: ["c"] });
});

Deno.test("planCollection leaves properties alone that belong to one cluster", () => {
  assert.deepEqual(plan({ properties: { "replicate.id": "x" } }, (s) => state(there(s, { properties: {} }))), []);
  assert.deepEqual(plan({}, (s) => state(there(s, { properties: { timezone: "UTC" } })), options("2.6.0")), []);
  const truncating = { "collection.on.truncating": "1" };
  assert.deepEqual(plan({ properties: truncating }, (s) => state(there(s, { properties: {} })), options("2.4.0")), []);
});

Deno.test("planCollection releases a loaded collection for a property that asks for it", () => {
  const steps = plan(
    { load: LOADED, properties: { "mmap.enabled": "true" } },
    (s) => state(there(s, { properties: {} })),
  );
  assert.ok(steps[0]!.action.do === "sequence");
  assert.deepEqual(steps[0]!.action.actions.map((one) => one.do), ["release", "alter_collection", "load"]);
  assert.match(steps[0]!.sentence, /released for it and loaded again/);
});

Deno.test("planCollection changes the consistency level where the release can", () => {
  const actual = (s: Collection) => state(there(s, { consistency: ConsistencyLevel.Strong }));
  assert.match(reasons(plan({}, actual))[0]!, /consistency level/);
  assert.deepEqual(plan({}, actual, options("2.6.0"))[0]!.action, {
    do: "alter_collection",
    set: { consistency_level: "Bounded" },
    remove: [],
  });
});

Deno.test("planCollection adds a nullable field from 2.6 on, and says so before", () => {
  const base = [
    field("id", DataType.Int64, { isPrimaryKey: true }),
    field("vec", DataType.FloatVector, {}, { dim: 4 }),
  ];
  const before = collection("items", { schema: storedSchema(base) });
  const schema = storedSchema([...base, field("n", DataType.Int32, { nullable: true })]);
  assert.match(reasons(plan({ schema }, () => state(there(before))))[0]!, /cannot add fields/);
  assert.equal(plan({ schema }, () => state(there(before)), options("2.6.0"))[0]!.action.do, "add_field");
  const hard = storedSchema([...base, field("n", DataType.Int32)]);
  assert.match(reasons(plan({ schema: hard }, () => state(there(before)), options("2.6.0")))[0]!, /only nullable/);
});

Deno.test("planCollection names every difference of schemas that nothing can mend", () => {
  const schema = (dim: number, type: DataType, length: number) =>
    storedSchema([
      field("id", type, { isPrimaryKey: true }, type === DataType.VarChar ? { max_length: 9 } : {}),
      field("vec", DataType.FloatVector, {}, { dim }),
      field("text", DataType.VarChar, {}, { max_length: length }),
    ]);
  const actual = collection("items", { schema: schema(8, DataType.VarChar, 10) });
  const want = { schema: schema(4, DataType.Int64, 20) };
  const [id, vec, text] = reasons(plan(want, () => state(there(actual))));
  assert.deepEqual([id, vec], [
    "On the target field id has type VarChar, the source's Int64",
    "On the target field vec has dim 8, the source's has 4",
  ]);
  assert.match(
    text!,
    /^On the target field text has max_length 10, the source's has 20\. Milvus 2\.3\.5 cannot give it more room: drop /,
  );
  const recent = plan(want, () => state(there(actual)), options("2.5.0"));
  assert.deepEqual(recent.at(-1)!.action, { do: "alter_field", field: "text", set: { max_length: "20" } });
});

Deno.test("planCollection replaces an index under one release and loads again", () => {
  const hnsw = { index_type: "HNSW", metric_type: "L2", params: '{"M":8}' };
  const steps = plan(
    { load: LOADED, indexes: [index("vec_idx", "vec", hnsw)] },
    (s) => state(there(s, { indexes: [{ name: "vec_idx", fieldName: "vec", params: FLAT, id: "1" }] })),
  );
  assert.deepEqual(summary(steps), [["alter_index", "sequence"], ["load", "load"]]);
  assert.ok(steps[0]!.action.do === "sequence");
  assert.deepEqual(steps[0]!.action.actions.map((one) => one.do), ["release", "drop_index", "create_index"]);
  assert.equal(
    steps[0]!.sentence,
    "Replace index vec_idx (FLAT, L2) by (HNSW, L2) on default.items.vec (the collection is released for it)",
  );
});

Deno.test("planCollection compares index parameters by meaning, not by spelling", () => {
  const wantedParams = { index_type: "hnsw", metric_type: "l2", params: '{"M": 8, "efConstruction": 64}' };
  const actualParams = { index_type: "HNSW", metric_type: "L2", efConstruction: "64", M: "8" };
  const steps = plan(
    { indexes: [index("vec_idx", "vec", wantedParams)] },
    (s) => state(there(s, { indexes: [{ name: "vec_idx", fieldName: "vec", params: actualParams, id: "1" }] })),
  );
  assert.deepEqual(steps, []);
});

Deno.test("planCollection takes an automatic index as whatever the target made of it", () => {
  const auto = { ...index("vec_idx", "vec", { index_type: "AUTOINDEX", metric_type: "L2" }), isAuto: true };
  const steps = plan(
    { indexes: [auto] },
    (s) =>
      state(
        there(s, {
          indexes: [{ name: "vec_idx", fieldName: "vec", params: { index_type: "HNSW", metric_type: "L2" }, id: "1" }],
        }),
      ),
  );
  assert.deepEqual(steps, []);
});

Deno.test("planCollection drops an index that the source does not have before it creates another on the field", () => {
  const steps = plan(
    { indexes: [index("new", "vec", FLAT)] },
    (s) => state(there(s, { indexes: [{ name: "old", fieldName: "vec", params: FLAT, id: "1" }] })),
  );
  assert.deepEqual(summary(steps), [["drop_index", "drop_index"], ["create_index", "create_index"]]);
});

Deno.test("planCollection alters an index where only a changeable parameter differs", () => {
  const mmap = { ...FLAT, "mmap.enabled": "true" };
  const actual = (s: Collection) =>
    state(there(s, { indexes: [{ name: "vec_idx", fieldName: "vec", params: FLAT, id: "1" }] }));
  assert.equal(plan({ indexes: [index("vec_idx", "vec", mmap)] }, actual)[0]!.action.do, "sequence");
  assert.deepEqual(plan({ indexes: [index("vec_idx", "vec", mmap)] }, actual, options("2.5.0"))[0]!.action, {
    do: "alter_index",
    name: "vec_idx",
    set: { "mmap.enabled": "true" },
    remove: [],
  });
});

Deno.test("planCollection moves, creates and drops aliases", () => {
  const steps = plan(
    { aliases: ["kept", "new", "moved"] },
    (s) =>
      state(there(s, { aliases: ["kept", "old"] }), {
        aliasOwners: new Map([["moved", { name: "other", identity: "5" }]]),
      }),
  );
  assert.deepEqual(steps.map((one) => one.sentence), [
    "Drop alias default.old of default.items",
    "Create alias default.new for default.items",
    "Alter alias default.moved from default.other to default.items",
  ]);
});

Deno.test("planCollection loads and releases partitions until the same ones are loaded", () => {
  const partitions = P("_default", "p1", "p2");
  const some = { ...LOADED, scope: "partitions" as const, partitionIds: [2n] };
  const loaded = (...names: string[]) => ({ load: { loaded: true, partitions: names, replicas: 1 } });
  const actions = (load: Collection["load"], have: Partial<ActualCollection>) =>
    plan({ partitions, load }, (s) => state(there(s, have))).map((one) => one.action);
  assert.deepEqual(actions(some, { load: undefined }), [{ do: "load", partitions: ["p1"], replicas: 1 }]);
  assert.deepEqual(actions(some, loaded("p2")), [
    { do: "load", partitions: ["p1"], replicas: 1 },
    { do: "release", partitions: ["p2"], replicas: 1 },
  ]);
  assert.deepEqual(actions(LOADED, loaded("p1")), [{ do: "load", partitions: [], replicas: 1 }]);
  assert.deepEqual(actions(undefined, loaded("p1")), [{ do: "release", partitions: [], replicas: 0 }]);
  assert.deepEqual(actions(LOADED, loaded("_default", "p1", "p2")), []);
  // A loaded collection of which a partition was released.
  const most = { ...LOADED, partitionIds: partitions.filter((one) => one.name !== "p1").map((one) => one.id) };
  assert.deepEqual(actions(most, loaded("_default", "p1", "p2")), [{ do: "release", partitions: ["p1"], replicas: 1 }]);
  assert.deepEqual(actions(most, loaded("_default", "p2")), []);
  // The rest stays the run's: it is released, too, when the source is.
  const ends = (load: Collection["load"], have: Partial<ActualCollection>) =>
    plan({ partitions, load }, (s) => state(there(s, have))).map((one) => one.ends);
  assert.deepEqual(ends(most, loaded("_default", "p1", "p2")), [undefined]);
  assert.deepEqual(ends(some, loaded("p2")), [undefined, undefined]);
  assert.deepEqual(ends(undefined, loaded("p1")), [[{ kind: "load" }]]);
});

Deno.test("planCollection changes the number of replicas, with a release where the target needs one", () => {
  const load = { ...LOADED, replicas: 2 };
  const actual = (s: Collection) => state(there(s, { load: { loaded: true, partitions: ["_default"], replicas: 1 } }));
  const old = plan({ load }, actual);
  assert.ok(old[0]!.action.do === "sequence");
  assert.match(old[0]!.sentence, /2 instead of 1 replicas \(released/);
  assert.equal(plan({ load }, actual, options("2.5.0"))[0]!.action.do, "load");
  assert.deepEqual(plan({ load }, actual, options("2.3.5", { replicas: 1 })), []);
  // Refused, it is loaded as it was; and queries fail meanwhile, so it is not to be tried often.
  assert.equal(old[0]!.disturbs, true);
  assert.deepEqual(old[0]!.action.actions.at(-1), {
    do: "with_way_back",
    action: { do: "load", partitions: [], replicas: 2 },
    back: { do: "load", partitions: ["_default"], replicas: 1 },
  });
});

Deno.test("planCollection loads into the target's resource groups, by one name for all or by the source's names", () => {
  const load = { ...LOADED, replicas: 2, resourceGroups: ["rg1", "rg2"] };
  const groups = (resourceGroups: PlanOptions["resourceGroups"]) =>
    plan({ load }, (s) => state(there(s, { load: undefined })), options("2.3.5", { resourceGroups }))
      .map((one) => one.action);
  const loading = (...resourceGroups: string[]) => [{ do: "load", partitions: [], replicas: 2, resourceGroups }];
  assert.deepEqual(groups("all"), loading("all"));
  assert.deepEqual(groups({ rg1: "a" }), loading("a", "rg2"));
  assert.deepEqual(groups({ rg1: "a", rg2: "a" }), loading("a"));
  assert.deepEqual(groups(undefined), [{ do: "load", partitions: [], replicas: 2 }]);
  const properties = { "collection.resource_groups": "rg1,rg2" };
  const made = plan({ properties }, () => state(MISSING), options("2.5.0", { resourceGroups: { rg1: "a" } }))[0]!;
  assert.ok(made.action.do === "create_collection");
  assert.deepEqual(made.action.properties, { "collection.resource_groups": "a,rg2" });
});

Deno.test("planCollection loads with what the target can by load: best_effort, and nothing by load: never", () => {
  const load = { ...LOADED, replicas: 2 };
  const actions = (mode: PlanOptions["load"], have?: ActualCollection["load"]) =>
    plan({ load }, (s) => state(there(s, { load: have })), options("2.3.5", mode === undefined ? {} : { load: mode }))
      .map((one) => one.action);
  const one = { loaded: true, partitions: ["_default"], replicas: 1 };
  assert.deepEqual(actions("best_effort"), [{
    do: "first_of",
    actions: [{ do: "load", partitions: [], replicas: 2 }, { do: "load", partitions: [], replicas: 1 }],
  }]);
  assert.deepEqual(actions("best_effort", one), []);
  assert.deepEqual(actions("never"), []);
  assert.deepEqual(plan({}, (s) => state(there(s, { load: one })), options("2.3.5", { load: "never" })), []);
});

Deno.test("planCollection for the structure leaves indexes, aliases and load out", () => {
  const source = { load: LOADED, aliases: ["a"], partitions: P("_default", "p1") };
  const steps = plan(source, () => state(MISSING), options("2.3.5", { parts: "structure" }));
  assert.deepEqual(steps.map((one) => one.kind), ["create_collection", "create_partition"]);
});

Deno.test("planCollection never drops a collection or a partition", () => {
  const steps = plan({}, (s) => state(there(s, { partitions: ["_default", "only_here"] })));
  assert.deepEqual(steps, []);
});

Deno.test("planCollection with widen makes texts and arrays as roomy as Milvus lets them be, and gives existing ones room where the release can", () => {
  const schema = storedSchema([
    field("id", DataType.VarChar, { isPrimaryKey: true }, { max_length: 8 }),
    field("vec", DataType.FloatVector, {}, { dim: 4 }),
    field("tags", DataType.Array, { elementType: DataType.VarChar }, { max_length: 8, max_capacity: 2 }),
  ]);
  const made = plan({ schema }, () => state(MISSING), { ...options(), widen: true })[0]!.action;
  assert.ok(made.do === "create_collection");
  const limits = made.schema.fields.map(({ name, typeParams }) => [
    name,
    ...typeParams.map(({ key, value }) => `${key}=${value}`).sort(),
  ]);
  assert.deepEqual(limits, [
    ["id", "max_length=65535"],
    ["vec", "dim=4"],
    ["tags", "max_capacity=4096", "max_length=65535"],
  ]);
  const narrow = (s: Collection) => state(there(s));
  assert.deepEqual(reasons(plan({ schema, indexes: [] }, narrow, { ...options(), widen: true })), []);
  const recent = plan({ schema, indexes: [] }, narrow, { ...options("2.6.0"), widen: true });
  assert.deepEqual(recent.map(({ action }) => action.do === "alter_field" && action.field), ["id", "tags"]);
});

Deno.test("planCollection leaves a target as it is that has more room than the source", () => {
  const text = (length: number) =>
    storedSchema([
      field("id", DataType.VarChar, { isPrimaryKey: true }, { max_length: length }),
      field("vec", DataType.FloatVector, {}, { dim: 4 }),
    ]);
  for (const version of ["2.3.5", "2.6.0"]) {
    const roomy = (s: Collection) => state(there({ ...s, schema: text(80) }));
    assert.deepEqual(plan({ schema: text(8), indexes: [] }, roomy, options(version)), []);
  }
});
