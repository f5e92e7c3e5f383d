import assert from "node:assert/strict";
import { newSinkState } from "../../../../pipeline/flow/state/run_state.ts";
import { RowTail } from "../../../../pipeline/flow/rows/tail.ts";
import type { RowTailOptions } from "../../../../pipeline/flow/rows/tail_options.ts";
import type { TickGroup } from "../../../../pipeline/model/mod.ts";

Deno.test("RowTail needs no group from before its own point: a stream that began earlier takes no position back", () => {
  const tail = new RowTail({ state: newSinkState() } as unknown as RowTailOptions);
  const at = (tick: bigint) => tail.needs({ pchannel: "p", tick } as TickGroup);
  tail.startsAt("p", { offset: 8n, tick: 80n });
  assert.deepEqual([79n, 80n, 81n].map(at), [false, false, true]);
});
