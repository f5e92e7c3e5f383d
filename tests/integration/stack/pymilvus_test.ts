import assert from "node:assert/strict";
import type { Json } from "../../../pipeline/json.ts";
import { EVERY_TYPE } from "../every_type.ts";
import { PyMilvus, PyMilvusError, runPython, stackEnv } from "../../stack/mod.ts";

type Row = Record<string, Json>;

const INDEX = {
  field: "vec",
  name: "by_vec",
  params: { index_type: "HNSW", metric_type: "L2", params: { M: 8, efConstruction: 64 } },
};

async function server(which: "SOURCE_URI" | "TARGET_URI", bigint: "all" | "unsafe" = "unsafe"): Promise<PyMilvus> {
  const env = stackEnv();
  return await PyMilvus.start(env[which]!, { python: env.PYTHON!, bigint });
}

Deno.test("PyMilvus returns the very values that were inserted", async () => {
  await using milvus = await server("SOURCE_URI");
  const name = "stack_values";
  await milvus.call("drop_collection", { name });
  await milvus.call("create_collection", { name, fields: EVERY_TYPE, dynamic: true, indexes: [INDEX], load: true });
  const row = {
    id: -9_223_372_036_854_775_808n,
    flag: true,
    i8: -128,
    i16: 32767,
    i32: -2147483648,
    i64: -9_223_372_036_854_775_808n,
    f32: 0.5,
    f64: 0.1,
    text: 'quote " backslash \\ 潮汐 🌊 \n',
    doc: { big: 4_611_686_018_427_387_905n, list: [1, null, { x: "y" }], 'key "q"': "" },
    list: [1, 9_007_199_254_740_993n],
    names: ["a", ""],
    vec: [0, -1, 0.25, 3],
    extra: { n: 9_007_199_254_740_993n },
  };
  await milvus.call("insert", { name, rows: [row] });
  const { extra, ...fields } = row;
  assert.deepEqual(await milvus.call("query_all", { name }), [{ $partition: "_default", ...fields, $meta: { extra } }]);
  const [hex] = await milvus.call("query_all", { name, vectors: "hex", json_form: "text" }) as Row[];
  assert.equal(hex!.vec, "00000000000080bf0000803e00004040");
  assert.equal(hex!.$meta, '{"extra":{"n":9007199254740993}}');
  await milvus.call("drop_collection", { name });
});

Deno.test("PyMilvus writes the same generated rows for the same seed, and digests tell contents apart", async () => {
  await using source = await server("SOURCE_URI");
  await using target = await server("TARGET_URI");
  const name = "stack_generated";
  for (const milvus of [source, target]) {
    await milvus.call("drop_collection", { name });
    const options = {
      name,
      fields: EVERY_TYPE,
      dynamic: true,
      shards: 2,
      partitions: ["p1"],
      indexes: [INDEX],
      load: true,
    };
    await milvus.call("create_collection", options);
    await milvus.call("insert_generated", { name, start: 0, count: 3000, seed: 7, batch: 1000 });
    await milvus.call("insert_generated", { name, start: 3000, count: 500, seed: 7, partition: "p1" });
    await milvus.call("delete", { name, start: 100, count: 50 });
    await milvus.call("insert_generated", { name, start: 200, count: 10, seed: 8, upsert: true });
  }
  assert.equal(await source.call("count", { name }), 3450);
  assert.deepEqual(await source.call("digest", { name }), await target.call("digest", { name }));
  assert.deepEqual(
    await source.call("describe_collection", { name }),
    await target.call("describe_collection", { name }),
  );
  await target.call("insert_generated", { name, start: 5, count: 1, seed: 9, upsert: true });
  assert.notDeepEqual(await source.call("digest", { name }), await target.call("digest", { name }));
  await source.call("flush", { name });
  const segments = await source.call("segments", { name }) as Row[];
  assert.ok(segments.every((segment) => segment.state === "Flushed"), JSON.stringify(segments, (_, v) => String(v)));
  for (const milvus of [source, target]) await milvus.call("drop_collection", { name });
});

Deno.test("PyMilvus deletes generated text keys with quotes and backslashes", async () => {
  await using milvus = await server("TARGET_URI");
  const name = "stack_text_keys";
  const fields = [{ name: "k", type: "VarChar", max_length: 40, primary: true }, {
    name: "b",
    type: "BinaryVector",
    dim: 16,
  }];
  const index = { field: "b", params: { index_type: "BIN_FLAT", metric_type: "HAMMING" } };
  await milvus.call("drop_collection", { name });
  await milvus.call("create_collection", { name, fields, indexes: [index], load: true });
  await milvus.call("insert_generated", { name, start: 0, count: 50 });
  await milvus.call("delete", { name, start: 5, count: 40 });
  const rows = await milvus.call("query_all", { name }) as Row[];
  assert.deepEqual(
    rows.map((row) => row.k),
    ["k1", "k2", "k3", "k4", "k45", "k46", "k47", "k48", 'k"0\\é', 'k"49\\é'].sort(),
  );
  assert.match(String(rows[0]!.b), /^[0-9a-f]{4}$/);
  await milvus.call("drop_collection", { name });
});

Deno.test("PyMilvus runs every kind of DDL", async () => {
  await using milvus = await server("SOURCE_URI");
  const db = "stack_db";
  await milvus.call("drop_database", { name: db });
  await milvus.call("create_database", { name: db });
  await milvus.call("create_collection", {
    ...{ db, name: "c", fields: EVERY_TYPE, consistency: "Session", partitions: ["p1", "p2"] },
    properties: { "collection.ttl.seconds": "3600" },
  });
  await milvus.call("create_alias", { db, name: "c", alias: "a1" });
  await milvus.call("create_index", { db, name: "c", field: "vec", params: INDEX.params, index_name: "i1" });
  await milvus.call("load_partitions", { db, name: "c", partitions: ["p1"] });
  await milvus.call("drop_partition", { db, name: "c", partition: "p2" });
  await milvus.call("alter_collection", { db, name: "c", properties: { "collection.ttl.seconds": "7200" } });
  const known = await milvus.call("describe_all", { dbs: [db] }) as Record<string, Record<string, Row>>;
  const { fields: _, ...collection } = known[db]!.c!;
  assert.deepEqual(collection, {
    description: "",
    auto_id: false,
    dynamic: false,
    shards: 1,
    consistency: "Session",
    properties: { "collection.ttl.seconds": "7200" },
    aliases: ["a1"],
    indexes: [{
      name: "i1",
      field: "vec",
      params: { index_type: "HNSW", metric_type: "L2", params: '{"M": 8, "efConstruction": 64}' },
    }],
    load: "Loaded",
    partitions: { _default: "NotLoad", p1: "Loaded" },
  });
  await milvus.call("release_collection", { db, name: "c" });
  await milvus.call("drop_index", { db, name: "c", field: "vec", index_name: "i1" });
  await milvus.call("drop_alias", { db, alias: "a1" });
  await milvus.call("rename_collection", { db, name: "c", new_name: "d" });
  assert.deepEqual(await milvus.call("list_collections", { db }), ["d"]);
  await milvus.call("drop_database", { name: db });
});

Deno.test("PyMilvus imports a file of rows from the bucket", async () => {
  const env = stackEnv();
  await using milvus = await server("SOURCE_URI");
  const name = "stack_import";
  const fields = [{ name: "id", type: "Int64", primary: true }, { name: "vec", type: "FloatVector", dim: 4 }];
  await milvus.call("drop_collection", { name });
  await milvus.call("create_collection", { name, fields, indexes: [INDEX], load: true });
  const store = env.SOURCE_FILES !== undefined ? { dir: env.SOURCE_FILES } : {
    endpoint: env.S3_ENDPOINT,
    bucket: env.SOURCE_BUCKET,
    access_key: env.S3_ACCESS_KEY,
    secret_key: env.S3_SECRET_KEY,
  };
  const rows = Array.from({ length: 100 }, (_, id) => ({ id, vec: [id, 0, 0, 1] }));
  const [task] = await milvus.call("bulk_insert_rows", { name, rows, store }) as Json[];
  const state = await milvus.call("bulk_state", { task }) as Row;
  assert.equal(state.rows, 100);
  await milvus.call("drop_collection", { name });
});

Deno.test("PyMilvus manages users, roles and grants", async () => {
  await using milvus = await server("TARGET_URI");
  // What a run that was cut short may have left.
  await milvus.call("drop_user", { user: "stack_user" }).catch(() => {});
  await milvus.call("revoke", { role: "stack_role", object: "Collection", object_name: "c", privilege: "Insert" })
    .catch(() => {});
  await milvus.call("drop_role", { role: "stack_role" }).catch(() => {});
  await milvus.call("create_user", { user: "stack_user", password: "Secret-1" });
  await milvus.call("create_role", { role: "stack_role" });
  await milvus.call("grant", { role: "stack_role", object: "Collection", object_name: "c", privilege: "Insert" });
  await milvus.call("add_user_to_role", { user: "stack_user", role: "stack_role" });
  const known = await milvus.call("describe_rbac") as Record<string, Record<string, Json>>;
  assert.deepEqual(known.users!.stack_user, ["stack_role"]);
  assert.deepEqual(known.roles!.stack_role, [["Collection", "c", "Insert", "default"]]);
  await milvus.call("revoke", { role: "stack_role", object: "Collection", object_name: "c", privilege: "Insert" });
  await milvus.call("remove_user_from_role", { user: "stack_user", role: "stack_role" });
  await milvus.call("drop_user", { user: "stack_user" });
  await milvus.call("drop_role", { role: "stack_role" });
});

Deno.test("PyMilvus passes on what the server refuses", async () => {
  await using milvus = await server("TARGET_URI", "all");
  await assert.rejects(
    milvus.call("count", { name: "no_such_collection" }),
    (error) =>
      error instanceof PyMilvusError && error.kind === "milvus" && /no_such_collection|can't find/.test(error.message),
  );
  await assert.rejects(milvus.call("no_such_function"), /There is no function no_such_function/);
  assert.equal(typeof await milvus.call("alloc_timestamp"), "bigint");
});

Deno.test("runPython returns the value of result", async () => {
  const value = await runPython(stackEnv().PYTHON!, "result = args['n'] + 1", { n: 9_007_199_254_740_993n });
  assert.equal(value, 9_007_199_254_740_994n);
});
