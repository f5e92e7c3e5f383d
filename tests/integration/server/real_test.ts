/** A task on real servers: what the server's page, metrics and jobs say of it is so. */
import assert from "node:assert/strict";
import { eventually } from "../../stack/eventually.ts";
import { small, withServers } from "../pipeline/servers.ts";
import { stackSources } from "../pipeline/tidemark_process.ts";
import { REAL, serverRig, untilState } from "./server_rig.ts";

const NAME = "srv_orders";

Deno.test("serve copies a real source by a task, follows it over a kill of the server, and verifies it by a job", async () => {
  await withServers("srv_", async ({ env, source, target }) => {
    await source.call("create_collection", small(NAME));
    let rows = 0;
    const insert = async (count: number) => {
      await source.call("insert_generated", { name: NAME, start: rows, count, seed: 1 });
      rows += count;
    };
    await insert(50);
    await using rig = await serverRig("", undefined, REAL);
    let server = await rig.start();
    const arrived = () =>
      eventually(`${rows} rows are on the target`, async () => await target.call("count", { name: NAME }) === rows, {
        details: () => server.log(),
        progress: async () => JSON.stringify(await server.json("/api/v1/tasks/copy")).slice(0, 2000),
      });
    const config = {
      pipeline: "copy",
      sources: stackSources(env),
      transforms: { select: { include: [`default.${NAME}`] } },
      sinks: { replica: { type: "milvus", address: env.TARGET_URI } },
    };
    const made = await server.request("POST", "/api/v1/tasks", { config });
    assert.equal(made.status, 201, await made.clone().text());
    assert.ok(!(await made.text()).includes(env.S3_SECRET_KEY!));
    await arrived();
    await insert(30);
    await arrived();
    const task = await untilState(server, "copy", "running");
    assert.equal(task.status.phase, "tail");
    // A status is of the last second.
    await eventually("the status has counted all rows", async () => {
      return (await server.json("/api/v1/tasks/copy")).status.collections[0].inserted === 80;
    });
    await eventually("the metrics say how far the log's end is", async () => {
      const text = await (await server.request("GET", "/metrics")).text();
      return /^tidemark_channel_behind_records\{.*pipeline="copy".*\} \d+$/m.test(text) &&
        /^tidemark_lag_seconds\{pipeline="copy"\} [0-9.]+$/m.test(text);
    });
    const lag = async () => {
      const text = await (await server.request("GET", "/metrics")).text();
      return parseFloat(/^tidemark_lag_seconds\{pipeline="copy"\} ([0-9.]+)$/m.exec(text)![1]!);
    };
    await eventually("an idle source shows no lag", async () => await lag() < 5);
    const { pid } = await server.json("/api/v1/tasks/copy");
    Deno.kill(pid, "SIGSTOP");
    await eventually("the lag of a reader that stands still grows", async () => await lag() > 15);
    Deno.kill(pid, "SIGCONT");
    await eventually("it is gone when the reader goes on", async () => await lag() < 5);
    const { id } = await (await server.request("POST", "/api/v1/tasks/copy/jobs", { kind: "verify" })).json();
    // deno-lint-ignore no-explicit-any
    let job: any;
    await eventually("the comparison has ended", async () => {
      job = await server.json(`/api/v1/jobs/${id}`);
      return job.ended_at !== null;
    });
    assert.deepEqual([job.state, job.exit, job.result.equal], ["done", 0, true], JSON.stringify(job));

    await server.kill("SIGKILL");
    await insert(20);
    server = await rig.start();
    await untilState(server, "copy", "running");
    await arrived();
    await (await server.request("POST", "/api/v1/tasks/copy/pause")).body?.cancel();
    await untilState(server, "copy", "paused");
    await insert(20);
    await (await server.request("POST", "/api/v1/tasks/copy/resume")).body?.cancel();
    await arrived();
    assert.equal((await server.request("DELETE", "/api/v1/tasks/copy?state=remove")).status, 204);
    assert.equal((await server.request("GET", "/api/v1/tasks/copy")).status, 404);
  });
});
