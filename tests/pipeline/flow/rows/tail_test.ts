import assert from "node:assert/strict";
import { from, lastValueFrom } from "rxjs";
import { newSinkState } from "../../../../pipeline/flow/state/run_state.ts";
import { RowTail } from "../../../../pipeline/flow/rows/tail.ts";
import type { RowTailOptions } from "../../../../pipeline/flow/rows/tail_options.ts";
import type { TickGroup } from "../../../../pipeline/model/mod.ts";

Deno.test("RowTail needs no group from before its own point: a stream that began earlier takes no position back", () => {
  const tail = new RowTail({ state: newSinkState(), targets: { later: new Set() } } as unknown as RowTailOptions);
  const at = (tick: bigint) => tail.needs({ pchannel: "p", tick } as TickGroup);
  tail.startsAt("p", { offset: 8n, tick: 80n });
  assert.deepEqual([79n, 80n, 81n].map(at), [false, false, true]);
});

Deno.test("RowTail holds the collection that an unreadable change on the control channel names, and says what names none", async () => {
  const own = { id: 7n, vchannels: ["p_3_7v0"], source: { db: "default", name: "a" }, blocked: undefined };
  const said: string[] = [];
  const options = {
    state: newSinkState(),
    targets: {
      later: new Set<bigint>(),
      state: (id: bigint) => id === 7n ? own : undefined,
      live: () => undefined,
      catalog: { collections: [] },
    },
    deps: {
      report: { warn: (_key: string, message: string) => void said.push(message) },
      meta: { lookup: () => Promise.resolve({ state: "unknown" }) },
      limits: { laneDepth: 1, batchRows: 1, batchBytes: 1 },
      crash: () => {},
    },
    blocked: (collection: string, { message }: Error) => void said.push(`${collection}: ${message}`),
    changed: () => {},
    acknowledged: () => {},
    signal: new AbortController().signal,
  } as unknown as RowTailOptions;
  const block = (collectionId: bigint, reason: string) => ({
    kind: "block",
    vchannel: "p_vcchan",
    pchannel: "p",
    ts: 5n,
    offset: 1n,
    collectionId,
    reason,
  });
  const tail = new RowTail(options);
  const events = [block(7n, "Files were replaced"), block(-1n, "Type 950 is not known")];
  const group = { pchannel: "p", tick: 9n, events, records: [], resume: { offset: 2n, tick: 9n }, bytes: 0 };
  tail.closeControl();
  await lastValueFrom(tail.run(from([group as unknown as TickGroup])), { defaultValue: undefined });
  assert.deepEqual(said, ["default.a: Files were replaced", "Type 950 is not known"]);
  assert.equal(own.blocked, "Files were replaced");
  assert.equal(tail.cares(7n), true, "what it lacks is kept for the next run");
});
