import assert from "node:assert/strict";
import { Cadence } from "../../../../sources/log/woodpecker/cadence.ts";

const POLL_MS = 200;
const IDLE_MS = 2000;
/** Until the store has answered. */
const ANSWER_MS = 4;

interface Followed {
  readonly looks: number;
  readonly perSecond: number;
  readonly perBlock: number;
  /** ms from a block's coming until it was read, in the order of the blocks. */
  readonly delays: readonly number[];
}

interface Circumstances {
  readonly bytes?: number;
  /** The writer's clock is so far from the reader's. */
  readonly writersClock?: number;
  /** ms for which the reader is busy with a block, by its number. */
  readonly busyMs?: (block: number) => number;
  readonly until?: number;
}

/** Follows blocks that come at these times, on a clock of its own. Waits are up to 1 ms longer than they were meant. */
function follow(
  arrivals: readonly number[],
  { bytes = 1000, writersClock, busyMs, until }: Circumstances = {},
): Followed {
  const cadence = new Cadence(POLL_MS, IDLE_MS);
  const random = chance(7);
  const end = until ?? arrivals.at(-1)! + 300;
  const delays: number[] = [];
  let looks = 0;
  for (let at = 0; at < end;) {
    looks++;
    let free = at + ANSWER_MS;
    const came = arrivals[delays.length];
    if (came !== undefined && came <= at) {
      free += busyMs?.(delays.length) ?? 0;
      delays.push(at + ANSWER_MS - came);
      cadence.found(at, { bytes, writtenMs: writersClock === undefined ? undefined : came + writersClock - 5 });
    } else cadence.missed(at);
    at = Math.max(free, cadence.due + random());
  }
  return { looks, perSecond: looks * 1000 / end, perBlock: looks / delays.length, delays };
}

function chance(seed: number): () => number {
  return () => (seed = (seed * 1_103_515_245 + 12_345) % 2 ** 31) / 2 ** 31;
}

/** Near a normal distribution of deviation 1. */
function normal(random: () => number): number {
  let sum = -6;
  for (let i = 0; i < 12; i++) sum += random();
  return sum;
}

function writes(count: number, step: (block: number) => number, from = 1000): number[] {
  let at = from;
  return Array.from({ length: count }, (_, i) => at += step(i));
}

function quantile(values: readonly number[], q: number): number {
  return [...values].sort((a, b) => a - b)[Math.floor(q * values.length)]!;
}

for (const interval of [190, 200, 205, 230, 260]) {
  Deno.test(`Cadence looks about once for each block that comes every ${interval} ms, and soon behind it`, () => {
    const { perBlock, delays } = follow(writes(2000, () => interval));
    assert.equal(delays.length, 2000);
    assert.ok(perBlock <= 1.03, `${perBlock} looks a block`);
    assert.ok(quantile(delays, 0.5) <= interval / 4, `p50 ${quantile(delays, 0.5)}`);
    assert.ok(quantile(delays, 0.95) <= interval / 2, `p95 ${quantile(delays, 0.95)}`);
  });
}

Deno.test("Cadence has learned an even writer within the first hundred blocks", () => {
  const { looks, delays } = follow(writes(100, () => 203));
  // Before the first block there are four in vain.
  assert.ok(looks <= 117, `${looks} looks`);
  assert.ok(quantile(delays, 0.5) <= 60, `p50 ${quantile(delays, 0.5)}`);
});

for (const deviation of [5, 20]) {
  Deno.test(`Cadence stays behind blocks whose times differ by ${deviation} ms`, () => {
    const random = chance(3);
    // Each on its own, and each from the one before, as of a writer that waits from one to the next.
    const own = Array.from({ length: 2000 }, (_, i) => 1000 + i * 202 + Math.abs(normal(random) * deviation));
    const wandering = writes(2000, () => 200 + Math.abs(normal(random) * deviation));
    for (const arrivals of [own, wandering]) {
      const { perSecond, delays } = follow(arrivals);
      assert.ok(perSecond <= 5.15, `${perSecond} looks a second`);
      assert.ok(quantile(delays, 0.5) <= 100, `p50 ${quantile(delays, 0.5)}`);
      assert.ok(quantile(delays, 0.95) <= 220, `p95 ${quantile(delays, 0.95)}`);
    }
  });
}

Deno.test("Cadence asks no more of an uneven writer than by waits that grow alone", () => {
  for (const [mean, most] of [[400, 5.3], [1000, 3.35], [5000, 1.4]] as const) {
    const random = chance(11);
    const { perSecond } = follow(writes(2000, () => POLL_MS - Math.log(1 - random()) * (mean - POLL_MS)));
    assert.ok(perSecond <= most, `${perSecond} looks a second where a block comes every ${mean} ms or so`);
  }
});

Deno.test("Cadence looks every two seconds where nothing comes, also behind an even writer", () => {
  const written = writes(300, () => 200);
  const ended = written.at(-1)!;
  const idle = follow(written, { until: ended + 60_000 }).looks - follow(written, { until: ended + 20_000 }).looks;
  assert.ok(idle <= 21, `${idle} looks in 40 s`);
});

Deno.test("Cadence reads what came at once behind a pause of an even writer one after the other", () => {
  const even = writes(100, () => 203);
  const stalled = even.at(-1)! + 2000;
  const arrivals = [...even, ...Array.from({ length: 12 }, (_, i) => stalled + i), ...writes(100, () => 203, stalled)];
  const { delays } = follow(arrivals);
  const burst = delays.slice(100, 112);
  assert.ok(burst.at(-1)! - burst[0]! <= 12 * (ANSWER_MS + 1), `${burst}`);
});

Deno.test("Cadence looks at once behind a block that was not put because it was time", () => {
  const even = writes(100, () => 203);
  const cadence = new Cadence(POLL_MS, IDLE_MS);
  for (const at of even) {
    if (at > cadence.due) cadence.missed(at - 100);
    cadence.found(at, { bytes: 1000 });
  }
  const at = even.at(-1)! + 203;
  cadence.found(at, { bytes: 2 << 20 });
  assert.equal(cadence.due, at);
});

Deno.test("Cadence notices by the writer's clock that its blocks come faster, whatever that clock says", () => {
  for (const writersClock of [0, 1_700_000_000_000, -90_000]) {
    const arrivals = [...writes(300, () => 260), ...writes(300, () => 200, 1000 + 300 * 260)];
    const { delays } = follow(arrivals, { writersClock });
    assert.ok(Math.max(...delays.slice(10)) < 600, `${Math.max(...delays.slice(10))}`);
    assert.ok(quantile(delays.slice(350), 0.95) <= 210, `${quantile(delays.slice(350), 0.95)}`);
  }
});

Deno.test("Cadence notices that blocks come faster where nothing says when they were written", () => {
  const arrivals = [...writes(300, () => 260), ...writes(400, () => 200, 1000 + 300 * 260)];
  const { delays } = follow(arrivals);
  assert.ok(quantile(delays.slice(450), 0.95) <= 300, `${quantile(delays.slice(450), 0.95)}`);
});

Deno.test("Cadence catches up at once where its reader was busy", () => {
  const { delays } = follow(writes(300, () => 203), { busyMs: (block) => block === 150 ? 3000 : 0 });
  assert.ok(delays[151]! > 2500);
  assert.ok(Math.max(...delays.slice(170)) <= 210, `${delays.slice(150, 200)}`);
});
