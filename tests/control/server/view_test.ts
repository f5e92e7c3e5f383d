import assert from "node:assert/strict";
import { statusView } from "../../../control/server/view.ts";
import type { BehindStatus, LogRetention, RunStatus } from "../../../pipeline/model/mod.ts";

Deno.test("statusView sums up what the queue counts, and says nothing where it does not count a channel", () => {
  const behind = (...of: (number | undefined)[]) => {
    const channels = of.map((records, i): RunStatus["channels"][number] => ({
      pchannel: `dml_${i}`,
      position: "1",
      tick: 1n,
      lagMs: 0,
      recordsPerSec: 0,
      behind: { end: "9", records, bytes: 10, at: "2026-11-21T12:00:00.000Z" } satisfies BehindStatus,
    }));
    const status = { channels, collections: [], waits: [], bases: [], warnings: [], rates: {} } as unknown as RunStatus;
    const { records_behind, bytes_behind } = statusView(status, 0);
    assert.equal(bytes_behind, of.length === 0 ? null : 10 * of.length);
    return records_behind;
  };
  assert.equal(behind(3, 4), 7);
  assert.equal(behind(0), 0);
  assert.equal(behind(3, undefined), null);
  assert.equal(behind(), null);
});

Deno.test("statusView says when retention reaches what is needed, which a run that says nothing comes nearer to", () => {
  const at = "2026-11-21T12:00:00.000Z";
  const view = (retention: LogRetention | undefined, laterMs: number) => {
    const channel = { pchannel: "dml_0", position: "1", tick: 1n, lagMs: 1000, neededMs: 60_000, recordsPerSec: 0 };
    const status = { channels: [{ ...channel, retention }], collections: [], waits: [], bases: [], warnings: [] };
    const all = { ...status, rates: {}, lagMs: 1000, at, phase: "tail" } as unknown as RunStatus;
    const { loss_ms, loss_why } = statusView(all, Date.parse(at) + laterMs).channels[0]!;
    return [loss_ms, loss_why];
  };
  assert.deepEqual(view({ ms: 3_600_000, why: "" }, 0), [3_540_000, null]);
  assert.deepEqual(view({ ms: 3_600_000, why: "a limit of size" }, 600_000), [2_940_000, "a limit of size"]);
  assert.deepEqual(view({ ms: 3_600_000, why: "" }, 36_000_000), [0, null]);
  assert.deepEqual(view({ ms: undefined, why: "Not known" }, 0), [null, "Not known"]);
  assert.deepEqual(view(undefined, 0), [null, null]);
});
