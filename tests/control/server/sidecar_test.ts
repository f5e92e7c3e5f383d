/** The server beside a run: what it lets one look at, that nothing can be changed by it, and when it is ready. */
import assert from "node:assert/strict";
import { pipelineServerSpec } from "../../../config/server_spec.ts";
import { startSidecar } from "../../../control/server/sidecar.ts";
import type { RunStatus } from "../../../pipeline/model/mod.ts";
import { statusOf } from "../../fakes/many_tasks.ts";

Deno.test("startSidecar serves page, task, metrics and health of its run, changes nothing, and is ready below the lag threshold only", async () => {
  let seen: RunStatus = statusOf("p", "running", 2);
  const now = () => new Date(seen.at);
  await using sidecar = startSidecar({
    config: pipelineServerSpec.parse({ listen: "127.0.0.1:0", lag_threshold: "1m" }),
    pipeline: "p",
    masked: { pipeline: "p" },
    redact: (text) => text,
    status: () => seen,
    now,
    onTrouble: (message) => assert.fail(message),
  });
  const ask = async (path: string, method = "GET") => {
    const answer = await fetch(`${sidecar.url}${path}`, { method });
    return { status: answer.status, text: await answer.text() };
  };
  for (const path of ["/", "/api/v1/tasks", "/api/v1/tasks/p", "/metrics", "/healthz", "/readyz", "/openapi.json"]) {
    assert.equal((await ask(path)).status, 200, path);
  }
  assert.match((await ask("/metrics")).text, /^tidemark_held_sinks\{pipeline="p"\} 0$/m);
  sidecar.ddl({ at: seen.at, sentence: "Create collection shop.c9", result: "applied", detail: "" });
  assert.match((await ask("/api/v1/tasks/p/ddl")).text, /Create collection shop\.c9/);
  for (
    const [method, path] of [
      ["POST", "/api/v1/tasks"],
      ["PUT", "/api/v1/tasks/p"],
      ["DELETE", "/api/v1/tasks/p"],
      ["POST", "/api/v1/tasks/p/pause"],
      ["POST", "/api/v1/tasks/p/jobs"],
    ] as const
  ) {
    const { status } = await ask(path, method);
    assert.ok(status === 404 || status === 405, `${method} ${path} is answered with ${status}`);
  }
  seen = { ...seen, lagMs: 61_000 };
  assert.deepEqual(await ask("/readyz"), {
    status: 503,
    text: '{"status":"not_ready","reason":"The run is 61 s behind"}',
  });
  seen = { ...seen, lagMs: 59_000, sinks: [{ name: "vault", state: "held", reason: "The keys are refused" }] };
  assert.equal((await ask("/readyz")).status, 200);
  assert.match((await ask("/metrics")).text, /^tidemark_held_sinks\{pipeline="p"\} 1$/m);
  const { state, reason } = JSON.parse((await ask("/api/v1/tasks/p")).text);
  assert.deepEqual([state, reason], ["blocked", "sinks.vault is held: The keys are refused"]);
  seen = { ...seen, phase: "snapshot" };
  assert.match((await ask("/readyz")).text, /The run is snapshot/);
  assert.equal((await ask("/healthz")).status, 200, "it lives");
});
