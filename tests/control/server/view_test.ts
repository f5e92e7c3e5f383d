import assert from "node:assert/strict";
import { statusView } from "../../../control/server/view.ts";
import type { BehindStatus, RunStatus } from "../../../pipeline/model/mod.ts";

Deno.test("statusView sums up what the queue counts, and says nothing where it does not count a channel", () => {
  const behind = (...of: (number | undefined)[]) => {
    const channels = of.map((records, i): RunStatus["channels"][number] => ({
      pchannel: `dml_${i}`,
      position: "1",
      tick: 1n,
      lagMs: 0,
      recordsPerSec: 0,
      behind: { end: "9", records, at: "2026-11-21T12:00:00.000Z" } satisfies BehindStatus,
    }));
    const status = { channels, collections: [], waits: [], bases: [], warnings: [], rates: {} } as unknown as RunStatus;
    return statusView(status, 0).records_behind;
  };
  assert.equal(behind(3, 4), 7);
  assert.equal(behind(0), 0);
  assert.equal(behind(3, undefined), null);
  assert.equal(behind(), null);
});
