import { deepStrictEqual, ok, throws } from "node:assert/strict";
import fc from "fast-check";
import { type BackupSummary, planPrune, type RetentionRules } from "../../../sources/backup/mod.ts";

const DAY = 86_400_000;
const NOW = Date.UTC(2026, 10, 21, 12);

function backup(name: string, takenMs: number, change: Partial<BackupSummary> = {}): BackupSummary {
  return {
    name,
    state: "complete",
    madeBy: "tidemark",
    takenMs,
    bytes: 10n,
    milvusVersion: "v2.3.5",
    collections: 1,
    rows: 1n,
    pipeline: "p",
    previous: "",
    exactFrom: 0n,
    hasLog: true,
    failed: 0,
    problem: "",
    ...change,
  };
}

const kept = (backups: BackupSummary[], rules: RetentionRules, options = {}) =>
  planPrune(backups, rules, { nowMs: NOW, ...options }).filter(({ action }) => action === "keep").map(({ name }) =>
    name
  );

const daily = Array.from({ length: 40 }, (_, i) => backup(`d${i}`, NOW - i * DAY));

Deno.test("planPrune keeps everything when no rule is set", () => {
  deepStrictEqual(kept(daily, {}).length, 40);
});

Deno.test("planPrune keeps the newest n, and those younger than a limit", () => {
  deepStrictEqual(kept(daily, { last: 3 }), ["d0", "d1", "d2"]);
  deepStrictEqual(kept(daily, { within: 2 * DAY }), ["d0", "d1", "d2"]);
});

Deno.test("planPrune keeps the newest of each day, ISO week and month", () => {
  const twice = daily.flatMap((item) => [item, backup(`${item.name}_early`, item.takenMs - 3_600_000)]);
  deepStrictEqual(kept(twice, { daily: 7 }), ["d0", "d1", "d2", "d3", "d4", "d5", "d6"]);
  // 2026-11-21 is a Saturday: the weeks before end on the Sundays 15 and 8 November.
  deepStrictEqual(kept(daily, { weekly: 3 }), ["d0", "d6", "d13"]);
  deepStrictEqual(kept(daily, { monthly: 2 }), ["d0", "d21"]);
});

Deno.test("planPrune counts days in the zone that it is given", () => {
  // 23:30 UTC is the next day in Berlin.
  const late = [backup("a", Date.UTC(2026, 10, 20, 23, 30)), backup("b", Date.UTC(2026, 10, 21, 8))];
  deepStrictEqual(kept(late, { daily: 5 }), ["a", "b"]);
  deepStrictEqual(kept(late, { daily: 5, time_zone: "Europe/Berlin" }), ["b"]);
  throws(() => planPrune(late, { daily: 1, time_zone: "Nowhere" }, { nowMs: NOW }), { code: "usage" });
});

Deno.test("planPrune never removes the last good backup of a pipeline, whatever the rules", () => {
  const backups = [
    backup("old_good", NOW - 90 * DAY),
    backup("new_partial", NOW - 80 * DAY, { failed: 2 }),
    backup("other", NOW - 99 * DAY, { pipeline: "q" }),
  ];
  deepStrictEqual(kept(backups, { within: DAY }), ["old_good", "other"]);
});

Deno.test("planPrune leaves other pipelines alone, half-written backups until they are idle for long, and finishes half-removed ones", () => {
  const backups = [
    backup("theirs", NOW - 90 * DAY, { pipeline: "q" }),
    backup("mine", NOW),
    backup("old_mine", NOW - DAY),
    backup("running", NOW - 1000, { state: "half-written", pipeline: "" }),
    backup("dead", NOW - 3 * DAY, { state: "half-written", pipeline: "" }),
    backup("broken", NOW - 3 * DAY, { state: "unreadable" }),
    backup("cut_short", NOW - 1000, { state: "half-removed", pipeline: "" }),
  ];
  deepStrictEqual(kept(backups, { last: 1 }, { pipeline: "p" }), ["theirs", "mine", "running", "dead", "broken"]);
  deepStrictEqual(kept(backups, { last: 1 }, { pipeline: "p", halfWrittenOlderThanMs: DAY }), [
    "theirs",
    "mine",
    "running",
    "broken",
  ]);
});

Deno.test("planPrune always leaves a good backup where there was one, and gives a reason for each", () => {
  const rule = fc.option(fc.integer({ min: 1, max: 5 }), { nil: undefined });
  fc.assert(fc.property(
    fc.array(fc.record({ age: fc.integer({ min: 0, max: 400 }), failed: fc.integer({ min: 0, max: 1 }) }), {
      minLength: 1,
    }),
    fc.record({ last: rule, within: rule, daily: rule, weekly: rule, monthly: rule }),
    (items, rules) => {
      const backups = items.map(({ age, failed }, i) => backup(`b${i}`, NOW - age * DAY, { failed }));
      const plan = planPrune(backups, rules, { nowMs: NOW });
      deepStrictEqual(plan.map(({ name }) => name), backups.map(({ name }) => name));
      ok(plan.every(({ reasons }) => reasons.length > 0));
      const left = new Set(plan.filter(({ action }) => action === "keep").map(({ name }) => name));
      ok(left.size > 0);
      const good = backups.filter(({ failed }) => failed === 0);
      ok(good.length === 0 || good.some(({ name }) => left.has(name)));
    },
  ));
});
