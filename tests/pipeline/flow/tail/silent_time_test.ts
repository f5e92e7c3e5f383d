import assert from "node:assert/strict";
import type { TickGroup } from "../../../../pipeline/model/mod.ts";
import { SilentTime } from "../../../../pipeline/flow/tail/silent_time.ts";

Deno.test("SilentTime has passed what was the newest tick a second ago, if the log has ended at the same place since", () => {
  let now = 0;
  const time = new SilentTime(() => now);
  const ends = (offset: bigint) => ({ end: { offset } }) as TickGroup;
  assert.equal(time.upTo(ends(5n), 100n), undefined);
  now = 999;
  assert.equal(time.upTo(ends(5n), 110n), undefined);
  now = 1000;
  assert.equal(time.upTo(ends(5n), 120n), 100n);
  now = 2000;
  assert.equal(time.upTo(ends(6n), 130n), undefined, "it was written to");
  now = 3000;
  assert.equal(time.upTo(ends(6n), 140n), 130n);
});
