/** A server tells a webhook what its tasks and jobs come to, and a dead man's switch that it is there. */
import assert from "node:assert/strict";
import { receiver } from "../../control/server/receiver.ts";
import { eventually } from "../../stack/eventually.ts";
import { pipeline, serverRig, untilState } from "./server_rig.ts";

const SECRET = "a-secret-of-the-test";

Deno.test("serve tells a webhook, which fails first, of what is blocked, failed and different, and beats while it has the tasks", async () => {
  const beats: string[] = [];
  await using heart = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen: () => {} }, (request) => {
    beats.push(request.method);
    return new Response("ok");
  });
  const raw = `whsec_${btoa(SECRET)}`;
  await using there = receiver(raw, (before) => before === 0 ? 500 : 200);
  await using rig = await serverRig(`server:
  listen: "127.0.0.1:0"
  webhooks: [ { url: "${there.url}", secret: "${raw}" } ]
  heartbeat: { url: "http://127.0.0.1:${heart.addr.port}/beat", every: 1s }
`);
  const server = await rig.start();
  for (const name of ["blocked", "lost", "different"]) {
    const made = await server.request("POST", "/api/v1/tasks", { config: pipeline(name) });
    assert.equal(made.status, 201, await made.text());
  }
  await untilState(server, "different", "running");
  await (await server.request("POST", "/api/v1/tasks/different/jobs", { kind: "verify" })).body?.cancel();
  const told = () => there.taken.map(({ body }) => `${body.type} ${body.data.task}`).sort();
  const expected = ["task.blocked blocked", "task.failed lost", "verify.failed different"];
  await eventually("all three are told", () => told().length >= 3, {
    progress: () => told().join(),
    details: server.log,
  });
  assert.deepEqual(told(), expected);
  assert.equal(there.attempts[1]!.id, there.attempts[0]!.id);
  const metrics = await (await server.request("GET", "/metrics")).text();
  assert.match(metrics, /tidemark_notifications_total\{result="failed"\} 1\n/);
  assert.match(metrics, /tidemark_notifications_total\{result="sent"\} 3\n/);
  await eventually("the heart beats", () => beats.length > 1);
  assert.equal((await server.kill("SIGTERM")).code, 0);
  assert.ok(!server.log().includes("/hook"), server.log());
});
