import assert from "node:assert/strict";
import type { LogEnd, LogEvent, TickGroup } from "../../../../pipeline/model/mod.ts";
import { endAfter, endAt } from "../../../../pipeline/flow/tail/end.ts";

function group(pchannel: string, tick: bigint, offset: bigint, events: [ts: bigint, offset: bigint][] = []): TickGroup {
  return {
    pchannel,
    tick,
    events: events.map(([ts, at]) => ({ kind: "delete", ts, offset: at }) as unknown as LogEvent),
    records: [],
    resume: { offset, tick },
    bytes: 0,
  };
}

/** The log ends behind `tick`. */
function standing(pchannel: string, tick: bigint, end: Partial<LogEnd> = {}): TickGroup {
  return {
    ...group(pchannel, tick, 4n),
    end: { offset: 5n, sinceMs: 0, waiting: undefined, complete: undefined, ...end },
  };
}

Deno.test("endAt cuts the last group at the moment and keeps what it leaves out readable for the next run", async () => {
  const end = endAt(15n);
  assert.equal((await end.admit(group("p", 10n, 4n))).last, false);
  const { group: clipped, last } = await end.admit(group("p", 20n, 9n, [[14n, 5n], [16n, 6n], [18n, 7n]]));
  assert.equal(last, true);
  assert.deepEqual(clipped.events.map((event) => event.ts), [14n]);
  assert.deepEqual(clipped.resume, { offset: 6n, tick: 15n });
});

Deno.test("endAfter lets all channels agree on the largest of their first ticks behind the log's end", async () => {
  const end = endAfter(new Map([["p", 5n], ["q", 8n]]));
  const early = end.admit(group("p", 10n, 6n));
  assert.equal((await end.admit(group("q", 11n, 7n))).last, false);
  const late = await end.admit(group("q", 20n, 9n));
  assert.equal(late.last, true);
  assert.equal((await early).last, false);
  assert.equal(end.ts, 20n);
  assert.equal((await end.admit(group("p", 20n, 7n))).last, true);
});

Deno.test("endAfter ends a channel that it was not told of where the others end", async () => {
  const end = endAfter(new Map([["p", 5n]]));
  const unknown = end.admit(group("q", 30n, 3n, [[19n, 1n], [25n, 2n]]));
  assert.equal((await end.admit(group("p", 20n, 6n))).last, true);
  const { group: clipped, last } = await unknown;
  assert.equal(last, true);
  assert.deepEqual(clipped.events.map((event) => event.ts), [19n]);
  assert.equal((await endAfter(new Map()).admit(group("q", 30n, 3n))).last, true);
});

Deno.test("endAfter does not wait for a channel that is left", async () => {
  const end = endAfter(new Map([["p", 5n], ["q", 5n]]));
  const first = end.admit(group("p", 20n, 6n));
  end.leave("q");
  assert.equal((await first).last, true);
  assert.equal(end.ts, 20n);
});

Deno.test("endAfter lets pass at once what is read again from before the agreed moment, and waits for no stream with it", async () => {
  const end = endAfter(new Map([["p", 5n], ["q", 5n]]));
  // Read for a sink that came first: p is at its end and waits for q.
  const waiting = end.admit(group("p", 30n, 6n));
  // Read again for all: what is older goes on although nobody has seen the end of q.
  assert.deepEqual(await end.admit(group("p", 10n, 2n)), { group: group("p", 10n, 2n), last: false });
  const again = end.admit(group("p", 30n, 6n));
  assert.equal((await end.admit(group("q", 40n, 9n))).last, true);
  for (const said of [await waiting, await again]) assert.deepEqual(said, { group: group("p", 30n, 6n), last: false });
  assert.equal((await end.admit(group("p", 40n, 7n))).last, true);
  assert.equal((await end.admit(group("p", 35n, 7n))).last, false);
});

Deno.test("endAfter ends no earlier than the last tick of a channel that is left behind it", async () => {
  const end = endAfter(new Map([["p", 5n], ["q", 5n]]));
  const first = end.admit(group("p", 20n, 6n));
  end.leave("q", 25n);
  assert.deepEqual([(await first).last, end.ts], [false, 25n]);
  assert.equal((await end.admit(group("q", 25n, 4n))).last, true);
  end.leave("p", 99n);
  assert.equal(end.ts, 25n, "what it has come to stays");
});

Deno.test("endAt ends a channel without a tick behind the moment once the source's clock has passed it and a write has had its time", async () => {
  let passed = false;
  let now = 0;
  const end = endAt(15n, () => Promise.resolve(passed), () => now);
  const last = async () => (await end.admit(standing("p", 10n))).last;
  assert.equal(await last(), false);
  now = 5000;
  passed = true;
  assert.equal(await last(), false, "what was stamped just before may still be on its way");
  now += 999;
  assert.equal(await last(), false);
  now += 1;
  assert.equal(await last(), true);
});

Deno.test("endAt waits for the tick of what was written before the moment, unless nobody writes any more", async () => {
  const end = endAt(15n, () => Promise.resolve(true), () => performance.now());
  const admit = async (more: Partial<LogEnd>) => (await end.admit(standing("p", 10n, more))).last;
  assert.equal(await admit({ waiting: 14n }), false);
  assert.equal(await admit({ waiting: 14n, complete: 20n }), false);
  assert.equal(await admit({ waiting: 16n, complete: 20n }), true, "what waits is later");
  assert.equal(await admit({ complete: 14n }), false);
});

Deno.test("endAfter ends where the logs end if none has a tick behind them", async () => {
  let now = 0;
  const end = endAfter(new Map([["p", 5n], ["q", 5n]]), () => now);
  assert.equal((await end.admit(standing("p", 10n))).last, false);
  assert.equal((await end.admit(standing("q", 20n))).last, true, "it is at the moment itself");
  assert.equal(end.ts, 20n);
  assert.equal((await end.admit(standing("p", 10n))).last, false, "q may be ahead of what p was told");
  now = 1000;
  assert.equal((await end.admit(standing("p", 10n))).last, true);
});

Deno.test("endAfter takes a silent channel along with those that go on", async () => {
  let now = 0;
  const end = endAfter(new Map([["p", 5n], ["q", 5n]]), () => now);
  assert.equal((await end.admit(standing("q", 8n))).last, false);
  assert.equal((await end.admit(group("p", 30n, 6n))).last, true);
  assert.equal(end.ts, 30n);
  assert.equal((await end.admit(group("q", 25n, 7n, [[24n, 6n]]))).last, false, "q was written to meanwhile");
  assert.equal((await end.admit(standing("q", 25n, { offset: 9n }))).last, false);
  now = 1000;
  assert.equal((await end.admit(standing("q", 25n, { offset: 9n }))).last, true);
});

Deno.test("endAfter waits for the tick of what the log holds, and gives it up where the log was abandoned", async () => {
  const end = endAfter(new Map([["p", 5n]]));
  assert.equal((await end.admit(standing("p", 10n, { waiting: 12n, sinceMs: 9999 }))).last, false);
  assert.equal(end.ts, undefined);
  assert.equal((await end.admit(standing("p", 10n, { waiting: 12n, sinceMs: 10_000 }))).last, true);
  assert.equal(end.ts, 10n);
});
