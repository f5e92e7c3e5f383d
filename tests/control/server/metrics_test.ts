import assert from "node:assert/strict";
import { currentLagMs } from "../../../control/server/lag.ts";
import { METRICS, metricsTable, metricsText } from "../../../control/server/metrics.ts";
import { manyTasks } from "../../fakes/many_tasks.ts";

Deno.test("METRICS keep their law: a unit at the end, _total for what rises, no label without bound", () => {
  for (const { name, type, labels } of Object.values(METRICS)) {
    assert.match(name, /^tidemark_[a-z_]+$/);
    assert.equal(name.endsWith("_total"), type === "counter", name);
    for (const label of labels) {
      assert.ok(
        ["version", "state", "pipeline", "channel", "phase", "sink", "method", "status", "result"].includes(label),
        `${name} ${label}`,
      );
    }
  }
});

Deno.test("metricsTable is what the page on the server shows", () => {
  const page = Deno.readTextFileSync(new URL("../../../docs/server.md", import.meta.url));
  assert.ok(page.includes(metricsTable()), `docs/server.md must have this table:\n${metricsTable()}`);
});

Deno.test("currentLagMs grows while a process says nothing, and does not where it is fresh or done", () => {
  const at = "2026-11-21T12:00:00.000Z";
  const now = Date.parse(at);
  const status = { lagMs: 700, at, phase: "tail" as const };
  assert.equal(currentLagMs(status, now + 2000), 700);
  assert.equal(currentLagMs(status, now + 60_000), 60_700);
  assert.equal(currentLagMs({ ...status, phase: "done" }, now + 60_000), 700);
});

Deno.test("metricsText says until when each channel's log is kept, as far as its queue says that", async () => {
  const text = await metricsText({
    tasks: manyTasks(1, 1),
    requests: new Map(),
    notifications: new Map(),
    now: Date.now(),
  });
  const said = [...text.matchAll(/^tidemark_channel_until_loss_seconds\{(.*)\} (.*)$/gm)].map((
    [, labels, value],
  ) => [labels, value]);
  assert.deepEqual(said, [['pipeline="blocked-0",channel="by-dev-rootcoord-dml_0"', "604799.36"]]);
  const kept = text.split("\n").filter((line) => line.startsWith("tidemark_channel_retention_seconds{"));
  assert.deepEqual(kept, [
    'tidemark_channel_retention_seconds{pipeline="blocked-0",channel="by-dev-rootcoord-dml_0"} 604800',
  ]);
});
