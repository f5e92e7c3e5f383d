import assert from "node:assert/strict";
import { TidemarkError } from "../../../../pipeline/errors.ts";
import type { CatalogChange, Collection } from "../../../../pipeline/model/mod.ts";
import { type EtcdMetaSource, etcdMetaSpec, inspectMeta, openEtcdMeta } from "../../../../sources/meta/mod.ts";
import { DataType } from "../../../../pipeline/proto/gen/schema_pb.ts";
import { ConsistencyLevel } from "../../../../pipeline/proto/gen/common_pb.ts";
import { openObjectStore, s3Spec } from "../../../../stores/mod.ts";
import { stackEnv } from "../../../stack/env.ts";
import { hungAfterMs } from "../../../stack/patience.ts";
import { freePort } from "../../../stack/free_port.ts";
import { Milvus } from "./milvus_client.ts";

const forever = (): AbortSignal => new AbortController().signal;

function open(more: object = {}): Promise<EtcdMetaSource> {
  const env = stackEnv();
  return openEtcdMeta(etcdMetaSpec.parse({
    type: "etcd",
    endpoints: [env["ETCD_ENDPOINT"]],
    root_path: env["SOURCE_ROOT"],
    ...more,
  }));
}

/** Takes changes until `done`, or fails after 60 s. */
async function until(
  changes: AsyncIterator<CatalogChange>,
  done: (change: CatalogChange) => boolean,
): Promise<CatalogChange[]> {
  const taken: CatalogChange[] = [];
  while (true) {
    const { value } = await changes.next();
    taken.push(value);
    if (done(value)) return taken;
  }
}

const find = (
  change: { catalog: { collections: readonly Collection[] } },
  dbName: string,
  name: string,
): Collection | undefined =>
  change.catalog.collections.find((collection) => collection.dbName === dbName && collection.name === name);

Deno.test("EtcdMetaSource.snapshot says of a running Milvus what its own API says", async () => {
  await using milvus = await Milvus.start(stackEnv());
  await using meta = await open();
  await milvus.call("create_all_types", { db: "h2_db", name: "h2_types" });
  const described = await milvus.call("describe", { db: "h2_db", name: "h2_types" }) as {
    fields: { id: number; name: string; type: number; is_primary: boolean; params: Record<string, number> }[];
    partitions: string[];
    aliases: string[];
    id: string;
    shards: number;
    consistency: number;
    properties: Record<string, string>;
    indexes: { field: string; name: string; params: Record<string, unknown> }[];
    description: string;
    dynamic: boolean;
  };
  const snapshot = await meta.snapshot(forever());
  const collection = find({ catalog: snapshot.catalog }, "h2_db", "h2_types")!;

  assert.equal(snapshot.serverVersion.startsWith("2.3"), true);
  assert.equal(collection.id.toString(), described.id);
  assert.equal(collection.shards, described.shards);
  assert.equal(collection.vchannels.length, 2);
  assert.deepEqual([...collection.startOffsets.keys()].sort(), [...new Set(collection.pchannels)].sort());
  assert.equal(collection.consistency, ConsistencyLevel.Session);
  assert.equal(described.consistency, ConsistencyLevel.Session);
  assert.equal(collection.schema.description, described.description);
  assert.equal(collection.schema.enableDynamicField, described.dynamic);
  assert.deepEqual({ ...collection.properties }, { "collection.ttl.seconds": "86400" });
  assert.deepEqual(
    collection.schema.fields.filter((field) => field.fieldID >= 100n && !field.isDynamic).map((field) => [
      Number(field.fieldID),
      field.name,
      field.dataType,
      field.isPrimaryKey,
    ]),
    described.fields.map((field) => [field.id, field.name, field.type, field.is_primary]),
  );
  assert.deepEqual(collection.schema.fields.slice(0, 2).map((field) => field.name), ["RowID", "Timestamp"]);
  assert.equal(collection.schema.fields.at(-1)!.isDynamic, true);
  assert.equal(collection.schema.fields.find((field) => field.name === "vec")!.dataType, DataType.FloatVector);
  assert.deepEqual(collection.partitions.map((partition) => partition.name).sort(), [...described.partitions].sort());
  assert.deepEqual([...collection.aliases], [...described.aliases].sort());
  assert.deepEqual(
    collection.indexes.map((
      index,
    ) => [index.fieldName, index.name, index.params["index_type"], index.params["metric_type"]]).sort(),
    // Where the user named no type, the choice of the server is kept: STL_SORT for numbers.
    described.indexes.map((
      index,
    ) => [index.field, index.name, index.params["index_type"] ?? "STL_SORT", index.params["metric_type"]])
      .sort(),
  );
  assert.equal(collection.load?.scope, "collection");
  assert.equal(collection.load?.loaded, true);
  assert.equal(collection.load?.replicas, 1);
  assert.equal(snapshot.catalog.databases.some((database) => database.name === "h2_db"), true);

  // Rows, flushed: the files of one segment at least, with as many rows as were written.
  const segments = snapshot.segments.filter((segment) =>
    segment.collectionId === collection.id && segment.class === "rows"
  );
  const rows = segments.flatMap((segment) => segment.binlogs.find(({ fieldId }) => fieldId === 1n)?.files ?? [])
    .reduce((sum, file) => sum + file.entries, 0n);
  assert.equal(rows, 300n);
  for (const vchannel of collection.vchannels) {
    assert.equal(snapshot.checkpoints.get(vchannel)?.offset !== undefined, true);
  }

  const shown = inspectMeta(await meta.inspect(forever())) as unknown as {
    indexes: { collection_id: string; segment_files: object }[];
    generation: number;
  };
  assert.equal(shown.generation, 23);
  const lookup = await meta.lookup(collection.id, forever());
  assert.equal(lookup.state, "live");
  assert.deepEqual(lookup.state === "live" && lookup.collection, collection);
  assert.deepEqual(await meta.lookup(1n, forever()), { state: "unknown" });
});

Deno.test("EtcdMetaSource.watch tells each DDL of a running Milvus, with the catalog after it", async () => {
  await using milvus = await Milvus.start(stackEnv());
  await using meta = await open();
  const stop = AbortSignal.timeout(hungAfterMs());
  const ended = new AbortController();
  const { revision } = await meta.snapshot(forever());
  const changes = meta.watch(revision, AbortSignal.any([stop, ended.signal]))[Symbol.asyncIterator]();
  const at = (change: CatalogChange, name: string): Collection | undefined => find(change, "h2_watch", name);
  const step = async (
    call: string,
    args: Record<string, unknown>,
    done: (change: CatalogChange) => boolean,
  ): Promise<CatalogChange> => {
    const waiting = until(changes, done).catch((cause) => {
      throw new Error(`After ${call} no change came as expected`, { cause });
    });
    const [taken] = await Promise.all([waiting, milvus.call(call, { db: "h2_watch", ...args })]);
    return taken.at(-1)!;
  };

  await step(
    "create_database",
    {},
    (change) => change.databasesChanged && change.catalog.databases.some((database) => database.name === "h2_watch"),
  );
  const created = await step("create_plain", { name: "h2_w" }, (change) => at(change, "h2_w") !== undefined);
  const first = at(created, "h2_w")!.id;
  assert.deepEqual(created.changed, [first]);
  await step(
    "create_partition",
    { name: "h2_w", partition: "p1" },
    (change) => at(change, "h2_w")!.partitions.some((partition) => partition.name === "p1"),
  );
  await step(
    "create_alias",
    { name: "h2_w", alias: "h2_alias" },
    (change) => at(change, "h2_w")!.aliases.includes("h2_alias"),
  );
  await step("create_index", { name: "h2_w" }, (change) => at(change, "h2_w")!.indexes.length === 1);
  await step("load", { name: "h2_w" }, (change) => at(change, "h2_w")!.load?.loaded === true);
  await step("release", { name: "h2_w" }, (change) => at(change, "h2_w")!.load === undefined);
  await step(
    "load_partition",
    { name: "h2_w", partition: "p1" },
    (change) => at(change, "h2_w")!.load?.scope === "partitions" && at(change, "h2_w")!.load!.loaded,
  );
  await step("release", { name: "h2_w" }, (change) => at(change, "h2_w")!.load === undefined);
  // 2.3.5 does not write altered properties to etcd until the record is written for another reason.
  await step(
    "set_ttl_twice",
    { name: "h2_w", ttl: 1234 },
    (change) => at(change, "h2_w")!.properties["collection.ttl.seconds"] === "1234",
  );
  await step("drop_index", { name: "h2_w" }, (change) => at(change, "h2_w")!.indexes.length === 0);
  await step("drop_alias", { alias: "h2_alias" }, (change) => at(change, "h2_w")!.aliases.length === 0);
  await step(
    "drop_partition",
    { name: "h2_w", partition: "p1" },
    (change) => at(change, "h2_w")!.partitions.length === 1,
  );
  await step("rename", { name: "h2_w", to: "h2_renamed" }, (change) => at(change, "h2_renamed")?.id === first);
  await step(
    "create_role",
    { name: "h2_role" },
    (change) => change.rbacChanged && change.catalog.rbac.roles.includes("h2_role"),
  );
  await step(
    "drop_role",
    { name: "h2_role" },
    (change) => change.rbacChanged && !change.catalog.rbac.roles.includes("h2_role"),
  );

  // Dropped and created again under the same name: two identities.
  const dropped = await step("drop", { name: "h2_renamed" }, (change) => change.gone.includes(first));
  assert.equal(at(dropped, "h2_renamed"), undefined);
  assert.equal((await meta.lookup(first, forever())).state, "dropping");
  const again = await step("create_plain", { name: "h2_renamed" }, (change) => at(change, "h2_renamed") !== undefined);
  assert.notEqual(at(again, "h2_renamed")!.id, first);
  const snapshot = await meta.snapshot(forever());
  assert.equal(snapshot.segments.some((segment) => segment.collectionId === first), false);
  assert.equal(snapshot.catalog.notLive.some(({ kind, id }) => kind === "collection" && id === first.toString()), true);

  ended.abort();
  await assert.rejects(changes.next(), (error: TidemarkError) => error.code === "aborted");
});

Deno.test("EtcdMetaSource.snapshot calls a wrong root path by its name and says what is there", async () => {
  const env = stackEnv();
  for (const wrong of [{ root_path: "nothing" }, { meta_sub_path: "other" }]) {
    await using meta = await open(wrong);
    await assert.rejects(meta.snapshot(forever()), (error: TidemarkError) => {
      assert.equal(error.code, "not_found");
      assert.match(error.message, new RegExp(`${env["SOURCE_ROOT"]}/meta/`));
      assert.match(error.hint ?? "", new RegExp(`root_path: ${env["SOURCE_ROOT"]}`));
      return true;
    });
    const lines = await meta.check(forever());
    assert.deepEqual(lines.map(({ ok, code }) => [ok, code]), [["fail", "not_found"]]);
  }
});

Deno.test("EtcdMetaSource.check has one line each for reach, metadata, version and clock", async () => {
  await using meta = await open();
  const lines = await meta.check(forever());
  // A source without a collection is a warning, and this one may have none just now.
  const said = lines.map((
    { what, ok },
  ) => [what.replace(/ .*:\d+/, ""), what === "metadata" && ok === "warn" ? "ok" : ok]);
  assert.deepEqual(said, [
    ["etcd", "ok"],
    ["metadata", "ok"],
    ["source version", "ok"],
    ["source clock", "ok"],
  ]);
  assert.match(lines[2]!.detail, /Milvus 2\.3\.5/);

  await using dead = await open({ endpoints: [`127.0.0.1:${freePort()}`], dial_timeout_ms: 1_000 });
  const [line, ...others] = await dead.check(forever());
  assert.equal(line?.code, "unreachable");
  assert.deepEqual(others, []);
});

Deno.test("EtcdMetaSource sees an import of a running Milvus complete, with its segments and rows", async () => {
  const env = stackEnv();
  const store = await openObjectStore(s3Spec.parse({
    type: "s3",
    endpoint: env["S3_ENDPOINT"],
    bucket: env["SOURCE_BUCKET"],
    access_key_id: env["S3_ACCESS_KEY"],
    secret_access_key: env["S3_SECRET_KEY"],
  }));
  const file = "h2_import.json";
  const rows = Array.from({ length: 50 }, (_, id) => ({ id, v: [id, 1, 2, 3] }));
  await store.put(file, new TextEncoder().encode(JSON.stringify({ rows })));
  try {
    await using milvus = await Milvus.start(env);
    await using meta = await open();
    await milvus.call("create_plain", { db: "h2_import", name: "h2_i" });
    const before = await meta.snapshot(forever());
    const { id } = find(before, "h2_import", "h2_i")!;
    const ended = new AbortController();
    const changes = meta.watch(before.revision, AbortSignal.any([AbortSignal.timeout(hungAfterMs()), ended.signal]));
    const task = await milvus.call("bulk_insert", { db: "h2_import", name: "h2_i", file }) as string;
    const taken = await until(changes[Symbol.asyncIterator](), (change) => change.importsCompleted.length > 0);
    ended.abort();
    const [completed] = taken.at(-1)!.importsCompleted;
    assert.deepEqual([completed!.id.toString(), completed!.collectionId, completed!.rows], [task, id, 50n]);
    const after = await meta.snapshot(forever());
    assert.equal(after.imports.find((entry) => entry.id === completed!.id)?.state, "completed");
    const segments = after.segments.filter((segment) => segment.collectionId === id && segment.class === "rows");
    assert.deepEqual(segments.map((segment) => segment.id), [...completed!.segmentIds]);
    assert.deepEqual(segments.map((segment) => segment.rows), [50n]);
  } finally {
    await store.delete([file]);
    await store.close();
  }
});
