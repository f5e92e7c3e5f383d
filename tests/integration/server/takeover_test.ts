/** Several servers on one state in a real etcd: one has the tasks at a time, whoever dies. */
import assert from "node:assert/strict";
import { eventually } from "../../stack/eventually.ts";
import { OwnEtcd } from "../stores/etcd_process.ts";
import { pipeline, serverRig, untilState } from "./server_rig.ts";

function alive(pid: number): boolean {
  try {
    return !/^State:\s+Z/m.test(Deno.readTextFileSync(`/proc/${pid}/status`));
  } catch {
    return false;
  }
}

Deno.test("serve takes over from a server that died, stood still, or lost its etcd, and no task runs twice", async () => {
  await using etcd = new OwnEtcd();
  await etcd.start();
  await using rig = await serverRig("", `{ type: etcd, endpoints: ["${etcd.address}"], lease: 5s }`);
  const first = await rig.start();
  const made = await first.request("POST", "/api/v1/tasks", { config: pipeline("one") });
  assert.equal(made.status, 201, await made.text());
  const { pid } = await untilState(first, "one", "running");
  const second = await rig.start();
  const standby = await second.request("GET", "/api/v1/tasks");
  assert.deepEqual([standby.status, (await standby.json()).code], [503, "standby"]);
  assert.equal((await second.request("GET", "/readyz")).status, 503);

  await first.kill("SIGKILL");
  await eventually("its process has ended with it", () => !alive(pid));
  const taken = await untilState(second, "one", "running");

  // One that stands still longer than its lease ends its processes as soon as it finds out.
  const third = await rig.start();
  second.process.kill("SIGSTOP");
  const again = await untilState(third, "one", "running");
  second.process.kill("SIGCONT");
  await eventually("it has found out", () => second.log().includes("The lease on the tasks was lost"), {
    details: second.log,
  });
  await eventually("its process has ended", () => !alive(taken.pid));
  assert.ok(alive(again.pid));
  const loser = await second.request("GET", "/api/v1/tasks/one");
  assert.equal(loser.status, 503);
  await loser.body?.cancel();

  await etcd.kill();
  await eventually("nobody has the tasks without etcd", () => !alive(again.pid), { details: third.log });
  await etcd.start();
  await eventually("one of the two has the tasks again", async () => {
    const states = await Promise.all([second, third].map(async (server) => {
      const task = await server.json("/api/v1/tasks/one");
      return task.state as string | undefined;
    }));
    return states.filter((state) => state === "running").length === 1;
  }, { details: () => second.log() + third.log() });
  for (const server of [second, third]) assert.equal((await server.kill("SIGTERM")).code, 0);
});
