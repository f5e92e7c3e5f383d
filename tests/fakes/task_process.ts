/** Stands for the process of a task: says what a run says, and ends as the name of its pipeline asks. */
import { supervised } from "../../control/supervised.ts";
import { processTerminal } from "../../control/terminal.ts";

const { config, terminal } = await supervised(processTerminal(), Deno.stdin.readable);
const { pipeline } = JSON.parse(config) as { pipeline: string };
const [command] = Deno.args;
const say = (value: unknown) => terminal.out(JSON.stringify(value) + "\n");
const log = (message: string) =>
  terminal.err(JSON.stringify({ time: new Date().toISOString(), level: "info", message }) + "\n");

const status = {
  pipeline,
  phase: "tail",
  collections: [{
    db: "default",
    name: "items",
    target: "default.items",
    phase: pipeline.startsWith("blocked") ? "blocked" : "tail",
    blockedReason: "The target refused field x",
    rowsDone: 3,
    rowsTotal: 3,
    inserted: 4,
    deleted: 1,
  }],
  channels: [{ pchannel: "by-dev-rootcoord-dml_0", position: "7", tick: 461373440000000000, lagMs: 1200 }],
  waits: [],
  lagMs: 1200,
  rates: { rowsPerSec: 10, bytesPerSec: 1000 },
  at: new Date().toISOString(),
};

terminal.onSignal(() => {
  log("It drains");
  say({ status });
  Deno.exit(0);
});
log(`It begins ${command}`);
if (pipeline.startsWith("silent")) await new Promise((resolve) => setTimeout(resolve, 1 << 30));
if (command !== "run" && !pipeline.startsWith("endless")) {
  say({ result: { command, revision: 1 } });
  Deno.exit(pipeline.startsWith("different") ? 15 : 0);
}
say({ status });
if (pipeline.startsWith("crashing")) {
  say({ error: { code: "unreachable", message: "No etcd endpoint answers", hint: "Start it" } });
  Deno.exit(11);
}
if (pipeline.startsWith("lost")) Deno.exit(14);
if (pipeline.startsWith("hungry")) {
  const kept: unknown[] = [];
  for (;;) kept.push(new Array(1e7).fill(kept.length));
}
setInterval(() => say({ status: { ...status, at: new Date().toISOString() } }), 100);
