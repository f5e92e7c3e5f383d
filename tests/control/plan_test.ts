import assert from "node:assert/strict";
import { renderPlan } from "../../control/commands/plan.ts";
import type { LoadChoice, Plan } from "../../pipeline/flow/mod.ts";

function planned(load: LoadChoice | undefined): Plan {
  const target = { db: "default", name: "a" };
  const sink = {
    sink: "replica",
    target,
    exists: false,
    rowsThere: 0n,
    steps: [],
    load,
    agreed: [],
    problem: undefined,
  };
  return {
    revision: 1n,
    serverVersion: "2.3.5",
    notSelected: [],
    targets: [],
    problems: [],
    exactFrom: 0n,
    collections: [{
      id: 1n,
      source: "default.a",
      action: "base",
      segments: 1,
      rows: 1n,
      bytes: 1n,
      channels: [],
      findings: [],
      overLong: [],
      unreadable: [],
      unusable: undefined,
      sinks: [sink],
    }],
  };
}

const said = (load: LoadChoice | undefined) =>
  renderPlan(planned(load)).filter((line) => /by rows|imported/.test(line));

Deno.test("renderPlan says whether a collection is imported or written by rows, and why, where imports are asked for", () => {
  const none = { asked: true, byRows: [] };
  assert.deepEqual(said({ ...none, by: "rows", reason: "it has 5 MiB in files" }), [
    "    written by rows, not imported: it has 5 MiB in files",
  ]);
  const byRows = [{ reason: "its files are of storage version 2", segments: 3 }];
  assert.deepEqual(said({ by: "import", reason: "restore_by: import", asked: true, byRows }), [
    "    imported by the target itself: restore_by: import",
    "    3 segments of it written by rows: its files are of storage version 2",
  ]);
  assert.deepEqual(said({ by: "rows", reason: "the configuration asks for rows", asked: false, byRows: [] }), []);
  assert.deepEqual(said(undefined), []);
});
