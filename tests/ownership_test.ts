/** Every row of the ownership table, with something foreign in the way. */
import assert from "node:assert/strict";
import { noCrashPoints } from "../pipeline/flow/mod.ts";
import { Held } from "../pipeline/flow/rows/held.ts";
import { Targets } from "../pipeline/flow/rows/targets.ts";
import { newCollectionState, newSinkState } from "../pipeline/flow/state/run_state.ts";
import { type Collection, type Grant, type Rbac, type Thing, thingText } from "../pipeline/model/mod.ts";
import { ConsistencyLevel } from "../pipeline/proto/gen/common_pb.ts";
import { DataType } from "../pipeline/proto/gen/schema_pb.ts";
import { type Change, makeDdlRules, OWNERSHIP } from "../pipeline/transforms/mod.ts";
import type { Actual, ActualCollection } from "../sinks/milvus/actual.ts";
import { featuresOf } from "../sinks/milvus/features.ts";
import { planCollection } from "../sinks/milvus/plan/collection.ts";
import { type ActualRbac, planRbac } from "../sinks/milvus/plan/rbac.ts";
import { schemaToCreate } from "../sinks/milvus/plan/schema.ts";
import { planDatabases } from "../sinks/milvus/reconcile/databases.ts";
import { FakePipeline } from "./fakes/pipeline.ts";
import { FakeRowSink } from "./fakes/row_sink.ts";
import { FakeSource } from "./fakes/source.ts";
import { ALL_MADE, collection, field, FLAT, index, LOADED, storedSchema } from "./sinks/milvus/sample.ts";

/** The run made the collection and nothing else of what is there. */
const MINE = { ...ALL_MADE, made: ({ kind }: Thing) => kind === "collection", aliasOf: () => "foreign" as const };
/** It was there before. */
const THEIRS = { ...MINE, made: () => false };
const NOTHING = { made: () => false };
const HNSW = { index_type: "HNSW", metric_type: "L2", M: "8" };

interface Scene {
  readonly source?: Partial<Collection>;
  readonly there?: Partial<ActualCollection>;
  readonly whose?: typeof MINE;
  readonly current?: Actual;
  readonly version?: string;
  readonly renamed?: boolean;
}

function plan({ source = {}, there = {}, whose = MINE, current, version = "2.3.5", renamed = false }: Scene) {
  const wanted = collection("items", source);
  const base = collection("items");
  const schema = schemaToCreate(base, "items", "preserve");
  schema.fields.forEach((one, i) => one.fieldID = BigInt(100 + i));
  const actual: Actual = {
    kind: "collection",
    collection: {
      id: 9n,
      schema,
      shards: 1,
      consistency: base.consistency,
      properties: {},
      partitions: ["_default"],
      aliases: [],
      indexes: [{ name: "vec_idx", fieldName: "vec", params: FLAT, id: "1" }],
      load: undefined,
      ...there,
    },
  };
  const missing: Actual = { kind: "missing" };
  const steps = planCollection(
    { source: wanted, target: { db: "default", name: "items" }, whose },
    {
      current: current ?? (renamed ? missing : actual),
      previous: renamed ? { name: { db: "default", name: "before" }, actual } : undefined,
      aliasOwners: new Map(wanted.aliases.map((alias) => [alias, { name: "other", identity: "5" }])),
    },
    { parts: "all", autoId: "preserve", features: featuresOf(version), replicas: undefined },
  );
  return steps.map(({ kind, foreign }) => foreign === undefined ? kind : `${kind} ${foreign.fate}`);
}

const grant = (role: string, privilege: string): Grant => ({
  role,
  objectType: "Collection",
  object: "*",
  dbName: "default",
  privilege,
  grantor: "root",
});

/** A user, a role and a group of the same names as the source's, with other rights. */
const FOREIGN: ActualRbac = {
  users: new Map([["root", []], ["alice", ["keeper"]]]),
  roles: ["admin", "public", "reader", "keeper"],
  grants: [grant("reader", "Insert"), grant("keeper", "Search")],
  privilegeGroups: new Map([["ops", ["Insert"]]]),
};
const SOURCE: Rbac = {
  users: [{ name: "alice", passwordHash: "x", roles: ["reader"] }],
  roles: ["admin", "public", "reader"],
  grants: [grant("reader", "Search")],
  privilegeGroups: [{ name: "ops", privileges: ["Query"] }],
};
const EMPTY: Rbac = { users: [], roles: [], grants: [], privilegeGroups: [] };

function rbac(wanted: Rbac, mirror = false): string[] {
  const passwords = new Map([["alice", "secret"]]);
  const steps = planRbac(wanted, FOREIGN, { passwords, whose: NOTHING, mirror, self: undefined });
  return steps.map(({ sentence, foreign }) => foreign === undefined ? sentence : `${foreign.fate}: ${sentence}`);
}

function databases(...[wanted, drop = []]: [Parameters<typeof planDatabases>[0], string[]?]): string[] {
  const actual = new Map<string, Record<string, string>>([["sales", { "database.max.collections": "5", own: "1" }]]);
  return planDatabases(wanted, drop, actual, NOTHING).map(({ kind, foreign }) => `${kind} ${foreign?.fate}`);
}

type OnExisting = "fail" | "merge" | "replace";

/** A target that has `a` with a row of its own before the run. */
function occupied(onExisting: OnExisting) {
  const source = new FakeSource();
  source.create("a", "p_0");
  source.create("b", "p_0");
  source.insert("a", [1n, 10n]);
  const replica = new FakeRowSink("replica");
  replica.rows.set("a", new Map([[9n, 90n]]));
  const pipeline = new FakePipeline(source, { rows: [replica] });
  pipeline.override = { sinks: [{ sink: replica, onExisting }] };
  return { source, replica, pipeline };
}

/** A collection into which the run merged, beside a partition that somebody made by hand, and what a barrier works on. */
async function merged() {
  const { source, replica } = occupied("merge");
  const [a] = source.collections as [Collection];
  const state = newSinkState();
  const name = { db: "default", name: "a" };
  const own = newCollectionState(a.id, name, name, a.vchannels, "tail");
  state.collections.set(a.id, own);
  const deps = {
    ddl: makeDdlRules({ policy: "evolve", include: undefined, exclude: [] }),
    report: { ddl: () => {}, warn: () => {}, info: () => {}, blocked: () => {} },
    crash: noCrashPoints,
  } as unknown as ConstructorParameters<typeof Targets>[0]["deps"];
  const setup = { sink: replica, onExisting: "merge" } as const;
  const { signal } = new AbortController();
  const catalog = (await source.meta.snapshot(signal)).catalog;
  const targets = new Targets(
    { deps, setup, state, save: () => Promise.resolve(), changed: () => {}, signal, refused: [] },
    catalog,
  );
  const gone = (): never => assert.fail("It was asked for");
  const there = { exists: true, rows: 1n, loaded: false, partitions: ["_default", "p1"] };
  Object.assign(replica, {
    truncate: gone,
    dropPartition: gone,
    dropCollection: gone,
    state: () => Promise.resolve(there),
  });
  return { targets, own, replica };
}

async function barrier(work: (targets: Targets, id: bigint) => Promise<void>): Promise<FakeRowSink> {
  const { targets, own, replica } = await merged();
  await assert.rejects(work(targets, own.id), (error) => {
    assert.ok(error instanceof Held, `${error}`);
    assert.match(error.message, /default\.a on replica holds what this run did not make/);
    return true;
  });
  return replica;
}

Deno.test("Targets.dropPartition passes a partition that the source dropped before it was made, and holds nothing for it", async () => {
  const { targets, own } = await merged();
  await targets.dropPartition(own.id, 5n, "never_made");
  assert.deepEqual(own.partitionsDropped, [5n]);
});

const SCENES: { readonly [Row in Change]: () => void | Promise<void> } = {
  create_database: () => assert.deepEqual(databases([{ name: "sales", properties: undefined }]), []),
  alter_database: () =>
    assert.deepEqual(databases([{ name: "sales", properties: { "database.max.collections": "9", more: "1" } }]), [
      "alter_database left",
      "alter_database left",
      "alter_database left",
    ]),
  drop_database: () => assert.deepEqual(databases([], ["sales"]), ["drop_database left"]),

  create_collection: async () => {
    const { pipeline, replica } = occupied("fail");
    await assert.rejects(pipeline.once(), /default\.a exists on replica already \(1 row\)/);
    assert.deepEqual(replica.rows.get("a"), new Map([[9n, 90n]]));
  },
  replace_collection: async () => {
    const { pipeline, replica, source } = occupied("replace");
    await pipeline.once();
    assert.deepEqual(replica.rows, source.rows);
    source.drop("a");
    await pipeline.once();
    assert.equal(replica.rows.has("a"), false, "what it made in its place is its own");
  },
  take_alias_name: () => {
    const current: Actual = { kind: "alias", of: { name: "other", identity: "5" } };
    assert.deepEqual(plan({ current }), ["create_collection held"]);
    assert.deepEqual(plan({ current, whose: { ...MINE, aliases: "take" } }), [
      "drop_alias taken",
      "create_collection",
      "create_index",
    ]);
  },
  rename_collection: () => assert.deepEqual(plan({ renamed: true, whose: THEIRS }), ["rename_collection left"]),
  take_name_by_rename: async () => {
    const { pipeline, replica, source } = occupied("merge");
    replica.rows.delete("a");
    await pipeline.once();
    replica.rows.set("c", new Map([[9n, 90n]]));
    source.rename("a", "c");
    const { blocked } = await pipeline.once();
    assert.match(blocked[0]!.reason, /default\.a cannot be renamed to default\.c/);
    assert.deepEqual(replica.rows.get("c"), new Map([[9n, 90n]]));
  },
  drop_collection: async () => {
    const { pipeline, replica, source } = occupied("merge");
    await pipeline.once();
    source.drop("a");
    await pipeline.once();
    assert.deepEqual(replica.rows.get("a"), new Map([[9n, 90n], [1n, 10n]]));
    source.create("a", "p_1");
    source.insert("a", [2n, 20n]);
    const { blocked } = await pipeline.once();
    assert.match(blocked[0]!.reason, /still holds a collection that the source dropped/);
  },
  truncate_collection: async () => void await barrier((targets, id) => targets.truncate(id)),
  drop_partition: async () => void await barrier((targets, id) => targets.dropPartition(id, 1n, "p1")),
  begin_anew: async () => void await barrier((targets, id) => targets.startOver(targets.state(id)!)),

  alter_schema: () => {
    const fields = [
      field("id", DataType.Int64, { isPrimaryKey: true }),
      field("vec", DataType.FloatVector, {}, { dim: 4 }),
      field("text", DataType.VarChar, {}, { max_length: 200 }),
      field("late", DataType.Int64, { nullable: true }),
    ];
    const scene = { source: { schema: storedSchema(fields, { dynamic: true }) }, version: "2.6.0", whose: THEIRS };
    assert.deepEqual(plan(scene), ["alter_collection held"]);
    assert.deepEqual(plan({ ...scene, whose: { ...THEIRS, merge: true } }), ["alter_collection"]);
  },
  alter_definition: () => {
    const there = { consistency: ConsistencyLevel.Strong };
    assert.deepEqual(plan({ there, version: "2.6.0", whose: THEIRS }), ["alter_collection left"]);
    assert.deepEqual(plan({ there, version: "2.6.0" }), ["alter_collection"]);
  },
  set_property: () => {
    const source = { properties: { "collection.ttl.seconds": "60" } };
    assert.deepEqual(plan({ source, there: { properties: { "collection.ttl.seconds": "99" } } }), [
      "alter_collection left",
    ]);
    assert.deepEqual(plan({ source }), ["alter_collection"], "a value that nobody set");
    assert.deepEqual(plan({ source, whose: THEIRS }), ["alter_collection left"]);
  },
  remove_property: () =>
    assert.deepEqual(plan({ there: { properties: { "mmap.enabled": "true" } } }), ["alter_collection left"]),

  create_partition: () => {
    const partitions = ["_default", "p9"].map((name, i) => ({ id: BigInt(i), name, createTs: 0n }));
    const scene = { source: { partitions }, there: { partitions: ["_default", "p9", "by_hand"] } };
    assert.deepEqual(plan(scene), ["create_partition held"]);
    assert.deepEqual(plan({ ...scene, whose: { ...MINE, merge: true } }), []);
  },

  create_index: () =>
    assert.deepEqual(plan({ there: { indexes: [{ name: "by_hand", fieldName: "vec", params: HNSW, id: "7" }] } }), [
      "drop_index left",
      "create_index left",
    ]),
  replace_index: () =>
    assert.deepEqual(plan({ there: { indexes: [{ name: "vec_idx", fieldName: "vec", params: HNSW, id: "7" }] } }), [
      "alter_index left",
    ]),
  alter_index: () => {
    const source = { indexes: [index("vec_idx", "vec", { ...FLAT, "mmap.enabled": "true" })] };
    assert.deepEqual(plan({ source, version: "2.4.0" }), ["alter_index left"]);
  },
  drop_index: () => {
    const indexes = [
      { name: "vec_idx", fieldName: "vec", params: FLAT, id: "1" },
      { name: "by_hand", fieldName: "text", params: { index_type: "Trie" }, id: "7" },
    ];
    assert.deepEqual(plan({ there: { indexes, load: { loaded: true, partitions: ["_default"], replicas: 1 } } }), [
      "drop_index left",
      "release left",
    ]);
  },

  alter_alias: () => {
    const source = { aliases: ["prod"] };
    assert.deepEqual(plan({ source }), ["alter_alias left"]);
    assert.deepEqual(plan({ source, whose: { ...MINE, aliases: "take" } }), ["alter_alias taken"]);
    assert.deepEqual(plan({ source, whose: { ...MINE, aliases: "none" } }), []);
  },
  drop_alias: () => assert.deepEqual(plan({ there: { aliases: ["by_hand"] } }), ["drop_alias left"]),

  load: () => {
    assert.deepEqual(plan({ source: { load: LOADED }, whose: THEIRS }), ["load left"]);
    assert.deepEqual(plan({ source: { load: LOADED }, whose: { ...THEIRS, merge: true } }), ["load"]);
  },
  change_replicas: () => {
    const there = { load: { loaded: true, partitions: ["_default"], replicas: 2 } };
    assert.deepEqual(plan({ source: { load: LOADED }, there }), ["load left"]);
  },
  release: () => {
    const there = { load: { loaded: true, partitions: ["_default"], replicas: 1 } };
    assert.deepEqual(plan({ there }), ["release left"]);
  },

  create_user: () => assert.ok(!rbac(SOURCE).some((one) => one.includes("Create user alice"))),
  bind_role: () => assert.ok(rbac(SOURCE).includes("left: Bind user alice to role reader")),
  unbind_role: () => {
    assert.ok(!rbac(SOURCE).some((one) => one.includes("Unbind")));
    assert.ok(rbac(SOURCE, true).includes("Unbind user alice from role keeper"));
  },
  drop_user: () => {
    assert.deepEqual(rbac(EMPTY), []);
    assert.ok(rbac(EMPTY, true).includes("Drop user alice"));
  },
  create_role: () => assert.ok(!rbac(SOURCE).some((one) => one.includes("Create role reader"))),
  grant: () => {
    assert.ok(rbac(SOURCE).includes("left: Grant Search on Collection default.* to role reader"));
    assert.ok(rbac(SOURCE, true).includes("Grant Search on Collection default.* to role reader"));
  },
  revoke: () => {
    assert.ok(!rbac(SOURCE).some((one) => one.includes("Revoke")));
    assert.ok(rbac(SOURCE, true).includes("Revoke Insert on Collection default.* to role reader"));
  },
  drop_role: () => {
    assert.deepEqual(rbac(EMPTY), []);
    assert.ok(rbac(EMPTY, true).includes("Drop role keeper"));
  },
  create_privilege_group: () => assert.ok(!rbac(SOURCE).some((one) => one.includes("Create privilege group"))),
  alter_privilege_group: () => {
    const those = rbac(SOURCE).filter((one) => one.includes("privilege group ops"));
    assert.deepEqual(those, ["left: Add Query to privilege group ops", "left: Remove Insert from privilege group ops"]);
  },
  drop_privilege_group: () => {
    assert.deepEqual(rbac(EMPTY), []);
    assert.ok(rbac(EMPTY, true).includes("Drop privilege group ops"));
  },
};

for (const [change, scene] of Object.entries(SCENES)) {
  const { foreign } = OWNERSHIP[change as Change];
  Deno.test(`OWNERSHIP ${change}: where the thing is foreign, it is ${foreign}`, async () => {
    await scene();
  });
}

Deno.test("OWNERSHIP lets the run change and take away what it made itself", () => {
  const made = new Set([
    ...["collection", "alias mine", "index vec_idx 1", "property a=1", "load"],
  ]);
  const whose = { ...MINE, made: (thing: Thing) => made.has(thingText(thing)) };
  const there = {
    aliases: ["mine"],
    properties: { a: "1" },
    load: { loaded: true, partitions: ["_default"], replicas: 1 },
  };
  const source = { indexes: [], properties: { a: "2" } };
  assert.deepEqual(plan({ source, there, whose }), ["alter_collection", "drop_alias", "drop_index"]);
});
