/** Bulk imports that came and went while no run was there, and of which the source's metadata has forgotten the job. */
import assert from "node:assert/strict";
import { fromBinary } from "@bufbuild/protobuf";
import { SegmentState } from "../../../pipeline/proto/gen/common_pb.ts";
import { SegmentInfoSchema } from "../../../pipeline/proto/gen/data_coord_pb.ts";
import { connectEtcd, type EtcdClient } from "../../../stores/etcd.ts";
import { eventually } from "../../stack/eventually.ts";
import type { PyMilvus } from "../../stack/pymilvus.ts";
import { assertSameDefinition } from "./comparison.ts";
import { type Servers, small, withServers } from "./servers.ts";
import { TidemarkSetup } from "./tidemark_process.ts";

const PREFIX = "h9f_";

function rows(start: number, count: number, mark: number): { id: number; vec: number[] }[] {
  return Array.from({ length: count }, (_, i) => ({ id: start + i, vec: [mark, start + i, 0, 1] }));
}

async function importRows({ env, source }: Servers, name: string, data: readonly unknown[]): Promise<bigint> {
  const store = {
    endpoint: env.S3_ENDPOINT,
    bucket: env.SOURCE_BUCKET,
    access_key: env.S3_ACCESS_KEY,
    secret_key: env.S3_SECRET_KEY,
  };
  const [task] = await source.call("bulk_insert_rows", { name, rows: data, store }) as bigint[];
  return task!;
}

const inTwoVersions = ({ id }: { id: number }) => id >= 120 && id < 125;

/** What the changes of the test below leave, sorted by key: of two rows of one key the newer one. */
function truth(): { id: number; vec: number[] }[] {
  return [...rows(0, 40, 1), ...rows(100, 10, 2), ...rows(110, 5, 4), ...rows(115, 45, 2), ...rows(160, 40, 3)]
    .filter(({ id }) => ![1, 100, 161].includes(id));
}

async function held(server: PyMilvus, name: string): Promise<{ id: number; vec: number[] }[]> {
  const found = await server.call("query_all", { name }) as { id: number; vec: number[] }[];
  return found.map(({ id, vec }) => ({ id: Number(id), vec: vec.map(Number) }));
}

async function settled({ source }: Servers, name: string, expected: number): Promise<void> {
  await eventually(
    `the source answers with ${expected} rows`,
    async () => await source.call("count", { name }) === expected,
  );
}

/** As the source's retention of jobs does some hours after their end. */
async function forgetJob(etcd: EtcdClient, root: string, task: bigint): Promise<void> {
  const key = `${root}/meta/importtask/${task}`;
  assert.ok(await etcd.get(key) !== undefined, `${key} is there`);
  await etcd.delete(key);
}

interface StoredSegment {
  readonly key: string;
  readonly id: bigint;
  readonly state: SegmentState;
  readonly from: readonly bigint[];
  readonly rows: bigint;
}

async function segmentsOf(etcd: EtcdClient, root: string, collection: bigint): Promise<StoredSegment[]> {
  const found: StoredSegment[] = [];
  for await (const { kvs } of etcd.range(`${root}/meta/datacoord-meta/s/${collection}/`)) {
    for (const { key, value } of kvs) {
      const { ID: id, state, compactionFrom: from, numOfRows } = fromBinary(SegmentInfoSchema, value);
      found.push({ key, id, state, from, rows: numOfRows });
    }
  }
  return found;
}

Deno.test("a run brings what was imported while it was stopped, though the source has forgotten the job and later the segments, too", async () => {
  await withServers(PREFIX, async (servers) => {
    const { env, source, target } = servers;
    const [name, merged] = [`${PREFIX}job`, `${PREFIX}merged`];
    await using etcd = new AsyncDisposableStack();
    const client = connectEtcd({ endpoints: [env.SOURCE_ETCD!] });
    etcd.defer(() => client.close());
    await source.call("create_collection", small(name, { shards: 2 }));
    await source.call("create_collection", small(merged));
    for (const each of [name, merged]) await source.call("insert", { name: each, rows: rows(0, 40, 1) });
    await using setup = await TidemarkSetup.make({ env, include: [`default.${PREFIX}*`] });
    await setup.once();

    // Older than the imports, and still to come in the log: these do not concern what the imports bring of the same keys.
    for (const each of [name, merged]) {
      await source.call("delete", { name: each, pks: [1, 150, 151] });
      await source.call("upsert", { name: each, rows: rows(120, 5, 9) });
      const tasks = [
        await importRows(servers, each, rows(100, 60, 2)),
        await importRows(servers, each, rows(160, 40, 3)),
      ];
      await source.call("delete", { name: each, pks: [100, 161] });
      await source.call("upsert", { name: each, rows: rows(110, 5, 4) });
      for (const task of tasks) await forgetJob(client, env.SOURCE_ROOT!, task);
    }
    await settled(servers, name, 39 + 100 - 2 + 5);

    // The segments of the second are put together with others, and collected.
    await source.call("flush", { name: merged });
    const { collection_id: id } = await source.call("ids", { name: merged }) as { collection_id: bigint };
    const all = () => segmentsOf(client, env.SOURCE_ROOT!, id);
    await eventually("the source has compacted all it had", async () => {
      await source.call("compact", { name: merged });
      const found = await all();
      const live = found.filter(({ state }) => state === SegmentState.Flushed);
      return live.length > 0 && live.every(({ from }) => from.length > 0);
    }, {
      progress: async () =>
        (await all()).map(({ id, state, from }) => `${id} ${SegmentState[state]} ${from}`).join("; "),
    });
    for (const { key, state } of await all()) if (state === SegmentState.Dropped) await client.delete(key);

    const report = await setup.once();
    assert.match(report.stderr, /has forgotten an import/);
    for (const each of [name, merged]) {
      await assertSameDefinition({ server: source, name: each }, { server: target, name: each });
      assert.deepEqual(await held(target, each), truth());
      // An import adds a second row to a key that was there, and 2.3 answers with the one or the other from query to query.
      const certain = (all: { id: number; vec: number[] }[]) => all.filter((row) => !inTwoVersions(row));
      assert.deepEqual(certain(await held(source, each)), certain(truth()));
    }
    const again = await setup.once();
    assert.doesNotMatch(again.stderr, /has forgotten an import/);
  });
});
