/** Stands for the process of a task: says what a run says, and ends as the name of its pipeline asks. */
import { STATUS_EVERY_MS, supervised } from "../../control/supervised.ts";
import { formatJson, type Json } from "../../pipeline/json.ts";
import { processTerminal } from "../../control/terminal.ts";

const { config, terminal } = await supervised(processTerminal(), Deno.stdin.readable);
const { pipeline } = JSON.parse(config) as { pipeline: string };
const [command] = Deno.args;
const say = (value: unknown) => terminal.out(formatJson(value as Json) + "\n");
const log = (message: string) =>
  terminal.err(JSON.stringify({ time: new Date().toISOString(), level: "info", message }) + "\n");

const ago = (hours: number) => new Date(Date.now() - hours * 3_600_000).toISOString();
/** All that can be wrong with a run that goes on. */
const ill = pipeline.startsWith("ill");

const status = {
  pipeline,
  phase: "tail",
  collections: [{
    db: "default",
    name: "items",
    target: "default.items",
    phase: /^(blocked|leaky|ill)/.test(pipeline) ? "blocked" : "tail",
    blockedReason: pipeline.startsWith("leaky") ? `refused: ${config}` : "The target refused field x",
    rowsDone: 3,
    rowsTotal: 3,
    inserted: 4,
    deleted: 1,
    ...ill ? { refusedRows: { held: 3, deadLetters: 0, keys: ["1", "2", "3"], reason: "too long" } } : {},
  }],
  channels: [{
    pchannel: "by-dev-rootcoord-dml_0",
    position: "7",
    tick: 461373440000000000,
    lagMs: ill ? 3_600_000 : 1200,
    retention: { ms: ill || pipeline.startsWith("brief") ? 3_600_000 : 604_800_000, why: "" },
  }],
  waits: [],
  sinks: ill ? [{ name: "vault", state: "held", reason: "The keys are refused" }] : [],
  bases: pipeline.startsWith("vault")
    ? [{
      sink: "vault",
      triedAt: "2026-11-05T03:00:00Z",
      goodAt: "2026-11-04T03:00:00Z",
      failures: 1,
      error: "No room",
    }]
    : ill
    ? [{ sink: "vault", triedAt: ago(1), goodAt: ago(48), failures: 2, error: "No room" }]
    : [],
  checkpointAt: ill ? ago(1) : "",
  lagMs: ill ? 3_600_000 : 1200,
  rates: { rowsPerSec: 10, bytesPerSec: 1000 },
  at: new Date().toISOString(),
};

terminal.onSignal(() => {
  log("It drains");
  say({ status });
  Deno.exit(0);
});
log(`It begins ${command}`);
// What another library prints knows nothing of secrets.
if (pipeline.startsWith("leaky")) terminal.err(`connecting with ${config}\n`);
if (pipeline.startsWith("silent")) await new Promise((resolve) => setTimeout(resolve, 1 << 30));
if (command === "backup") {
  const night = (day: number) => Date.parse(`2026-11-0${day}T03:00:00Z`);
  const moment = (ms: number) => ({ ts: BigInt(ms) << 18n, iso: new Date(ms).toISOString() });
  const backup = (day: number) => ({
    name: `nightly_${day}`,
    place: "vault",
    state: "complete",
    madeBy: "tidemark",
    takenMs: night(day),
    bytes: 5_600_000_000n,
    collections: 3,
    rows: 1_200_000n,
    hasLog: true,
    failed: 0,
    problem: "",
    restorable: {
      from: moment(night(day) + 60_000),
      to: moment(night(day + 1)),
      gaps: day === 2
        ? [{ from: moment(night(2) + 7_200_000), to: moment(night(2) + 10_800_000), collections: ["a.b"] }]
        : [],
    },
  });
  const half = {
    ...backup(5),
    name: "nightly_5",
    state: "half-written",
    rows: -1n,
    bytes: 4096n,
    restorable: undefined,
  };
  say({ result: [backup(1), backup(2), backup(3), backup(4), half] });
  Deno.exit(0);
}
if (command !== "run" && !pipeline.startsWith("endless")) {
  const differs = pipeline.startsWith("different");
  const collections = [{
    source: "default.items",
    verdict: differs ? "different" : "equal",
    missing: differs ? 3 : 0,
    extra: 0,
    content: 0,
  }];
  say({ result: { command, revision: 1, ...command === "verify" ? { collections } : {} } });
  Deno.exit(differs ? 15 : 0);
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
// As often as a run says it.
const many = /^wide-(\d+)/.exec(pipeline);
if (many !== null) {
  const { statusOf } = await import("./many_tasks.ts");
  const wide = statusOf(pipeline, "running", parseInt(many[1]!, 10));
  setInterval(() => say({ status: { ...wide, at: new Date().toISOString() } }), STATUS_EVERY_MS);
} else setInterval(() => say({ status: { ...status, at: new Date().toISOString() } }), 100);
