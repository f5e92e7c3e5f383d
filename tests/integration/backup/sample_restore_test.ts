/** The committed backup of the real milvus-backup, restored into the stack's target: every row by its recipe, and all around it. */
import assert from "node:assert/strict";
import { eventually } from "../../stack/eventually.ts";
import { withServers } from "../pipeline/servers.ts";
import { RestoreSetup } from "./restore_setup.ts";

const PREFIX = "smp_";
const SAMPLES = new URL("../../samples", import.meta.url).pathname;
const GONE = new Set([5, 6, 7, 700, 10, 1001]);

type Row = Record<string, unknown>;

/** Row i, as the sample's README says. Vectors are the only random part. */
function expected(i: number): Row {
  return {
    $partition: i >= 600 && i < 1000 ? "p1" : "_default",
    id: i,
    b: i % 2 === 0,
    i8: i % 100 - 50,
    i16: i,
    i32: 3 * i,
    f: Math.fround(i / 7),
    d: i / 3,
    s: `Zeile-${i}-ä€`,
    j: { k: i, t: ["x", null, 1.5] },
    arr: [i, i + 1].slice(0, i % 3),
    $meta: { extra: `dyn${i}`, n: i },
  };
}

Deno.test("backup restore brings a genuine backup of milvus-backup back: rows, partitions, indexes, alias, loaded", async () => {
  await withServers(PREFIX, async ({ env, target }) => {
    await using setup = await RestoreSetup.make({
      env,
      backup: { name: "milvus-backup-0.5.16", storage: { type: "file", path: SAMPLES } },
      transforms: { route: [{ from: "default.*", to: `${PREFIX}db.*` }] },
    });
    const at = { name: "peer_sample", db: `${PREFIX}db` };
    const { stdout } = await setup.restore();
    assert.match(stdout, /The base is complete/);
    await eventually("the collection is loaded", async () => await target.call("load_state", at) === "Loaded");
    const rows = await target.call("query_all", at) as Row[];
    const ids = Array.from({ length: 1100 }, (_, i) => i).filter((i) => !GONE.has(i));
    const byId = new Map(rows.map((row) => [Number(row.id), row]));
    assert.equal(rows.length, 1094);
    for (const id of ids) {
      const { v, ...row } = byId.get(id)!;
      assert.deepEqual(row, expected(id));
      assert.equal((v as unknown[]).length, 8);
    }
    const described = await target.call("describe_collection", at) as Record<string, unknown>;
    assert.deepEqual(described.aliases, ["peer_sample_alias"]);
    assert.equal(described.description, "sample");
    assert.equal(described.shards, 2);
    assert.deepEqual(Object.keys(described.partitions as object).sort(), ["_default", "p1"]);
    const indexes = described.indexes as { name: string; field: string; params: Record<string, string> }[];
    assert.deepEqual(indexes.map(({ name, field }) => [name, field]), [["s_idx", "s"], ["v", "v"]]);
    const { index_type, metric_type, params } = indexes[1]!.params;
    assert.deepEqual([index_type, metric_type, JSON.parse(params!)], ["HNSW", "COSINE", { M: 8, efConstruction: 64 }]);

    // It is finished: the same command begins anew, and finds the name taken.
    const again = await setup.start().ends();
    assert.notEqual(again.code, 0);
    assert.match(again.stderr, /exists on replica already/);
    const moment = await setup.start(["--until", "2026-01-01T00:00:00Z"]).ends();
    assert.equal(moment.code, 2);
    assert.match(moment.stderr, /no usable log archive/);
  });
});
