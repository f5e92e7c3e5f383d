/** `POST /cdc` on real servers, as a script drives milvus-cdc: rows that were there before arrive, too. */
import assert from "node:assert/strict";
import { eventually } from "../../stack/eventually.ts";
import { small, withServers } from "../pipeline/servers.ts";
import { stackSources } from "../pipeline/tidemark_process.ts";
import { REAL, serverRig } from "./server_rig.ts";

const DB = "cdc_sales";
const NAME = "orders";

Deno.test("POST /cdc creates, lists, pauses, resumes, tells the position of and deletes a task whose rows arrive", async () => {
  await withServers("cdc_", async ({ env, source, target }) => {
    await source.call("create_database", { name: DB });
    await source.call("create_collection", { ...small(NAME), db: DB });
    let rows = 0;
    let name = NAME;
    const insert = async (count: number) => {
      await source.call("insert_generated", { name, db: DB, start: rows, count, seed: 1 });
      rows += count;
    };
    await insert(50);
    const cdc = `cdc: ${JSON.stringify({ sources: stackSources(env), max_tasks: 2 })}`;
    await using rig = await serverRig(cdc, undefined, REAL);
    let server = await rig.start();
    const ask = async (type: string, data?: unknown) => {
      const response = await server.request("POST", "/cdc", { request_type: type, request_data: data });
      assert.equal(response.status, 200);
      return await response.json();
    };
    const arrived = () =>
      eventually(`${rows} rows are on the target`, async () => {
        return await target.call("count", { name, db: DB }).catch(() => -1) === rows;
      }, {
        details: () => server.log(),
        progress: async () => JSON.stringify(await server.json("/api/v1/tasks")).slice(0, 2000),
      });
    const dead = { milvus_connect_param: { uri: "http://127.0.0.1:1", connect_timeout: 1 } };
    const scope = { db_collections: { [DB]: [{ name: "*" }] } };
    const refused = await ask("create", { ...dead, ...scope });
    assert.equal(refused.code, 500);
    assert.match(refused.message, /^fail to handle the create request, error: fail to connect the milvus: /);

    const created = await ask("create", { milvus_connect_param: { uri: `http://${host(env.TARGET_URI!)}` }, ...scope });
    assert.equal(created.code, 200, created.message);
    const { task_id } = created.data;
    const get = async () => (await ask("get", { task_id })).data.task;
    await arrived();
    await insert(20);
    await arrived();
    const listed = (await ask("list")).data.tasks;
    assert.deepEqual(listed.map((task: { task_id: string; state: string }) => [task.task_id, task.state]), [
      [task_id, "Running"],
    ]);
    assert.ok(!JSON.stringify(listed).includes(env.S3_SECRET_KEY!));
    await eventually("every channel of the source has a position", async () => {
      const { positions, op_positions } = (await ask("position", { task_id })).data;
      return op_positions.length === 0 && positions.length > 0 &&
        positions.every((one: { channel_name: string; time: number; msg_id: string }) =>
          one.channel_name.startsWith(env.SOURCE_ROOT!) && one.time > 1e12 && atob(one.msg_id).length > 8
        );
    });

    // milvus-cdc has no word for these, and stops the task or leaves the old name behind.
    await source.call("create_alias", { name, db: DB, alias: "cdc_alias" });
    await source.call("rename_collection", { name, db: DB, new_name: "orders_2" });
    name = "orders_2";
    await insert(10);
    await arrived();
    assert.equal((await get()).state, "Running");
    assert.equal(await target.call("has_collection", { name: NAME, db: DB }), false);

    for (let round = 0; round < 2; round++) {
      assert.deepEqual(await ask("pause", { task_id }), { code: 200, data: {} });
      assert.equal((await get()).state, "Paused");
      assert.equal((await ask("pause", { task_id })).code, 400);
      const before = rows;
      await insert(10);
      assert.equal(await target.call("count", { name, db: DB }), before);
      assert.deepEqual(await ask("resume", { task_id }), { code: 200, data: {} });
      await arrived();
    }
    assert.equal((await get()).reason, undefined);
    const level = await ask("maintenance", { operation: "set_log_level", params: { log_level: "info" } });
    assert.equal(level.data.State, "set log level to info");

    await server.kill("SIGKILL");
    await insert(10);
    server = await rig.start();
    await arrived();
    assert.equal((await get()).state, "Running");
    assert.deepEqual(await ask("delete", { task_id }), { code: 200, data: {} });
    assert.equal((await ask("get", { task_id })).code, 400);
    assert.deepEqual((await ask("list")).data.tasks, []);
  });
});

function host(uri: string): string {
  return uri.replace(/^\w+:\/\//, "");
}
