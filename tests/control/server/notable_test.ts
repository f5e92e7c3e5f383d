import assert from "node:assert/strict";
import { EventHub } from "../../../control/server/events.ts";
import { notable } from "../../../control/server/notable.ts";
import type { RunStatus } from "../../../pipeline/model/mod.ts";
import { statusOf } from "../../fakes/many_tasks.ts";

const AT = Date.parse("2026-11-21T12:00:00.000Z");

function rig() {
  const events = new EventHub(() => new Date());
  const told = notable(events, "p", 60_000);
  return { told, heard: () => events.after(0).map(({ type, message }) => `${type} ${message}`) };
}

const status = (change: Partial<RunStatus> = {}): RunStatus => ({
  ...statusOf("p", "running", 2),
  at: new Date(AT).toISOString(),
  ...change,
});

Deno.test("notable tells once that a collection is blocked, and that it goes on", () => {
  const { told, heard } = rig();
  const [first, second] = status().collections;
  const blocked = { ...first!, phase: "blocked" as const, blockedReason: "no room" };
  told.hear(status());
  told.hear(status({ collections: [blocked, second!] }));
  told.hear(status({ collections: [blocked, second!] }));
  told.hear(status());
  assert.deepEqual(heard(), ["task.blocked shop.c0 is blocked: no room", "task.recovered shop.c0 goes on"]);
});

Deno.test("notable tells once that a backup is held, and that it goes on", () => {
  const { told, heard } = rig();
  const held = { name: "vault", state: "held" as const, reason: "The keys are refused" };
  told.hear(status({ sinks: [held] }));
  told.hear(status({ sinks: [held, { name: "replica", state: "waiting", reason: "no answer" }] }));
  told.hear(status({ sinks: [{ ...held, state: "ok", reason: "" }] }));
  assert.deepEqual(heard(), [
    "task.blocked The backup vault is held: The keys are refused",
    "task.recovered The backup vault goes on",
  ]);
});

Deno.test("notable tells of a lag over the threshold once, of a run that says nothing any more too, and when it is well again", () => {
  const { told, heard } = rig();
  told.hear(status({ lagMs: 700 }));
  told.look(AT + 50_000);
  assert.deepEqual(heard(), []);
  told.look(AT + 61_000);
  told.look(AT + 71_000);
  told.hear(status({ lagMs: 40_000 }));
  assert.deepEqual(heard(), ["task.lag 62 s behind, more than 60 s"]);
  told.hear(status({ lagMs: 700 }));
  assert.deepEqual(heard().slice(1), ["task.recovered The lag is below its threshold again"]);
});

Deno.test("notable does not call a base copy late", () => {
  const { told, heard } = rig();
  told.hear(status({ phase: "base", lagMs: 7_200_000 }));
  told.look(AT + 61_000);
  assert.deepEqual(heard(), []);
});

Deno.test("notable tells of bases that are done and that fail, not of those of before", () => {
  const { told, heard } = rig();
  const base = { sink: "vault", triedAt: "t1", goodAt: "t1", failures: 0, error: "" };
  told.hear(status({ bases: [base] }));
  told.hear(status({ bases: [{ ...base, triedAt: "t2", failures: 1, error: "the bucket is full" }] }));
  told.hear(status({ bases: [{ ...base, triedAt: "t3", goodAt: "t3" }] }));
  assert.deepEqual(heard(), [
    "backup.failed vault: the bucket is full",
    "backup.done vault: a base was completed at t3",
  ]);
});

Deno.test("notable tells of the first base of a run, done or failed, though nothing was known of it before", () => {
  const { told, heard } = rig();
  const startedAt = "2026-11-21T11:00:00.000Z";
  const good = { sink: "vault", triedAt: "2026-11-21T11:00:09.000Z", goodAt: "2026-11-21T11:00:09.000Z" };
  const old = { sink: "attic", triedAt: "2026-11-20T03:00:00.000Z", goodAt: "", failures: 2, error: "no room" };
  const bad = { sink: "cellar", triedAt: "2026-11-21T11:00:10.000Z", goodAt: "", failures: 1, error: "it is wet" };
  told.hear(status({ startedAt }));
  told.hear(status({ startedAt, bases: [{ ...good, failures: 0, error: "" }, old, bad] }));
  told.hear(status({ startedAt, bases: [{ ...good, failures: 0, error: "" }, old, bad] }));
  assert.deepEqual(heard(), [
    "backup.done vault: a base was completed at 2026-11-21T11:00:09.000Z",
    "backup.failed cellar: it is wet",
  ]);
});
