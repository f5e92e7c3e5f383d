/** Tasks over HTTP: made once, changed, paused, killed at every moment, alone on their state. */
import assert from "node:assert/strict";
import { eventually } from "../../stack/eventually.ts";
import { pipeline, serverRig, untilState } from "./server_rig.ts";

Deno.test("serve makes a task once, masks its secrets, changes it only at its ETag, pauses, resumes and removes it", async () => {
  await using rig = await serverRig();
  const server = await rig.start();
  const made = await server.request("POST", "/api/v1/tasks", { config: pipeline("one") }, { "idempotency-key": "k1" });
  assert.equal(made.status, 201, await made.clone().text());
  const etag = made.headers.get("etag")!;
  assert.match(etag, /^(W\/)?"1"$/);
  const text = await made.text();
  assert.ok(!/secret-of-the-test|token-of-the-test|key-of-the-test/.test(text), text);
  assert.equal((await server.request("POST", "/api/v1/tasks", { config: pipeline("one") })).status, 200);
  const other = { config: pipeline("one", { limits: { base_parallelism: 2 } }) };
  assert.equal((await server.request("POST", "/api/v1/tasks", other)).status, 409);
  const task = await untilState(server, "one", "running");
  assert.equal(task.status.rows_done, 3);
  assert.equal(task.status.channels[0].tick, "461373440000000000");

  const stale = await server.request("PUT", "/api/v1/tasks/one", { wanted: "paused" }, { "if-match": '"7"' });
  assert.equal(stale.status, 412);
  assert.equal(stale.headers.get("content-type"), "application/problem+json");
  // The masked configuration goes back as it came: its secrets stay.
  const changed = { config: { ...task.config, limits: { base_parallelism: 2 } } };
  const updated = await server.request("PUT", "/api/v1/tasks/one", changed, { "if-match": etag });
  assert.equal(updated.status, 200, await updated.clone().text());
  assert.match(updated.headers.get("etag")!, /^(W\/)?"2"$/);
  await updated.body?.cancel();
  const stored = await Deno.readTextFile(`${rig.folder}/state/_server.state.json`);
  assert.ok(stored.includes("secret-of-the-test"));

  await (await server.request("POST", "/api/v1/tasks/one/pause")).body?.cancel();
  assert.equal((await server.json("/api/v1/tasks/one")).state, "paused");
  await (await server.request("POST", "/api/v1/tasks/one/resume")).body?.cancel();
  await untilState(server, "one", "running");
  const { lines } = await server.json("/api/v1/tasks/one/logs");
  assert.ok(lines.some(({ message }: { message: string }) => message === "It begins run"));
  assert.equal((await server.request("DELETE", "/api/v1/tasks/one?state=remove")).status, 204);
  assert.equal((await server.request("GET", "/api/v1/tasks/one")).status, 404);
});

Deno.test("serve says every problem of a configuration at once, each with its JSON pointer", async () => {
  await using rig = await serverRig();
  const server = await rig.start();
  const config = pipeline("two", {
    nonsense: 1,
    sinks: { replica: { type: "milvus", token: "root:token-of-the-test" } },
  });
  const refused = await server.request("POST", "/api/v1/tasks", { config });
  assert.equal(refused.status, 422);
  const body = await refused.json();
  assert.deepEqual(body.problems.map(({ pointer }: { pointer: string }) => pointer).sort(), [
    "/nonsense",
    "/sinks/replica",
  ]);
  assert.ok(!JSON.stringify(body).includes("token-of-the-test"));
  const yaml = await server.request("POST", "/api/v1/tasks", "pipeline: [\n", { "content-type": "application/yaml" });
  assert.equal(yaml.status, 422);
  await yaml.body?.cancel();
  const plain = await server.request("POST", "/api/v1/tasks", "x", { "content-type": "text/plain" });
  assert.equal(plain.status, 415);
  await plain.body?.cancel();
  assert.deepEqual(await server.json("/api/v1/tasks"), { tasks: [] });
});

Deno.test("serve starts a task again that ended and says why, leaves one alone that no restart mends, and the others go on", async () => {
  await using rig = await serverRig("tasks: { restart_after: 100ms, restart_max: 200ms }");
  const server = await rig.start();
  for (const name of ["crashing", "lost", "hungry", "good", "blocked"]) {
    assert.equal((await server.request("POST", "/api/v1/tasks", { config: pipeline(name) })).status, 201);
  }
  const good = await untilState(server, "good", "running");
  assert.equal((await untilState(server, "blocked", "blocked")).reason, "default.items: The target refused field x");
  await eventually("the one that crashes was started three times", async () => {
    const { restarts, last_end: end } = await server.json("/api/v1/tasks/crashing");
    return restarts >= 3 && end.reason === "No etcd endpoint answers" && end.hint === "Start it" && end.code === 11;
  });
  const lost = await untilState(server, "lost", "failed");
  assert.equal(lost.last_end.code, 14);
  await eventually("the one that needs too much memory is said to", async () => {
    const { last_end: end } = await server.json("/api/v1/tasks/hungry");
    return end !== null && end.reason === "It needed more memory than tasks.memory allows";
  }, { details: server.log });
  const after = await server.json("/api/v1/tasks/good");
  assert.equal(after.pid, good.pid);
  assert.equal(after.restarts, 0);
});

Deno.test("serve ends the process of a task that says nothing, and starts it again", async () => {
  await using rig = await serverRig("tasks: { stuck_after: 5s }");
  const server = await rig.start();
  await (await server.request("POST", "/api/v1/tasks", { config: pipeline("silent") })).body?.cancel();
  await eventually("the one that says nothing was ended", async () => {
    const { last_end: end } = await server.json("/api/v1/tasks/silent");
    return end !== null && end.reason === "It said nothing for too long and was ended";
  });
});

for (const point of ["accepted", "stored"] as const) {
  Deno.test(`serve that is killed at ${point} has the task or has it not, and runs it if it has it`, async () => {
    await using rig = await serverRig();
    const doomed = await rig.start({ TIDEMARK_SERVER_CRASH_AT: point });
    await assert.rejects(doomed.request("POST", "/api/v1/tasks", { config: pipeline("one") }));
    assert.equal((await doomed.kill("SIGKILL")).signal, "SIGKILL");
    const server = await rig.start();
    await eventually("the server has the tasks", async () => (await server.request("GET", "/readyz")).ok);
    const { tasks } = await server.json("/api/v1/tasks");
    assert.deepEqual(tasks.map(({ name }: { name: string }) => name), point === "stored" ? ["one"] : []);
    // The client asks again and has one task in either case.
    const again = await server.request("POST", "/api/v1/tasks", { config: pipeline("one") });
    assert.equal(again.status, point === "stored" ? 200 : 201);
    await again.body?.cancel();
    await untilState(server, "one", "running");
  });
}

for (const point of ["stopped", "state_deleted"] as const) {
  Deno.test(`serve that is killed at ${point} of a removal removes the task when it starts again`, async () => {
    await using rig = await serverRig();
    const doomed = await rig.start({ TIDEMARK_SERVER_CRASH_AT: point });
    await (await doomed.request("POST", "/api/v1/tasks", { config: pipeline("one") })).body?.cancel();
    await untilState(doomed, "one", "running");
    await Deno.writeTextFile(`${rig.folder}/state/one.state.json`, "{}");
    await assert.rejects(doomed.request("DELETE", "/api/v1/tasks/one?state=remove"));
    await doomed.kill("SIGKILL");
    const server = await rig.start();
    await eventually("it is gone, with what its run remembered", async () => {
      const stored = JSON.parse(await Deno.readTextFile(`${rig.folder}/state/_server.state.json`));
      const names = [...Deno.readDirSync(`${rig.folder}/state`)].map(({ name }) => name);
      return stored.tasks.length === 0 && !names.includes("one.state.json");
    }, { details: server.log });
  });
}

Deno.test("serve waits while another one has the tasks, and takes over with no task running twice when that is killed", async () => {
  await using rig = await serverRig();
  const first = await rig.start();
  await (await first.request("POST", "/api/v1/tasks", { config: pipeline("one") })).body?.cancel();
  const { pid } = await untilState(first, "one", "running");
  const second = await rig.start();
  assert.equal((await second.request("GET", "/healthz")).status, 200);
  const standby = await second.request("GET", "/api/v1/tasks");
  assert.equal(standby.status, 503);
  assert.equal((await standby.json()).code, "standby");
  await first.kill("SIGKILL");
  const task = await untilState(second, "one", "running");
  assert.notEqual(task.pid, pid);
  await eventually("the process of the killed server has ended", () => !alive(pid));
  assert.ok(alive(task.pid));
  assert.equal((await second.kill("SIGTERM")).code, 0);
  assert.ok(!alive(task.pid));
});

function alive(pid: number): boolean {
  try {
    // A process that has ended and was not asked for yet is a zombie.
    return !/^State:\s+Z/m.test(Deno.readTextFileSync(`/proc/${pid}/status`));
  } catch {
    return false;
  }
}

Deno.test("jobs have progress and a result, and end when they are cancelled", async () => {
  await using rig = await serverRig();
  const server = await rig.start();
  for (const name of ["one", "different", "endless"]) {
    const made = await server.request("POST", "/api/v1/tasks?wanted=paused", { config: pipeline(name) });
    assert.equal(made.status, 201);
    await made.body?.cancel();
  }
  const begin = async (name: string, kind: string) =>
    await (await server.request("POST", `/api/v1/tasks/${name}/jobs`, { kind })).json();
  const ended = async (id: string) => {
    // deno-lint-ignore no-explicit-any
    let job: any;
    await eventually(
      "the job has ended",
      async () => (job = await server.json(`/api/v1/jobs/${id}`)).ended_at !== null,
    );
    return job;
  };
  const plan = await ended((await begin("one", "plan")).id);
  assert.deepEqual([plan.state, plan.exit, plan.result.command], ["done", 0, "plan"]);
  const verify = await ended((await begin("different", "verify")).id);
  assert.deepEqual([verify.state, verify.exit], ["done", 15]);
  const endless = await begin("endless", "check");
  await eventually(
    "it runs",
    async () => (await server.json(`/api/v1/jobs/${endless.id}`)).progress === "It begins check",
  );
  await (await server.request("DELETE", `/api/v1/jobs/${endless.id}`)).body?.cancel();
  assert.equal((await ended(endless.id)).state, "cancelled");
});
