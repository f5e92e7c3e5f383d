import assert from "node:assert/strict";
import { EMPTY, mergeMap, type Observable } from "rxjs";
import type { Collection, ResumePoint, TickGroup } from "../../../../pipeline/model/mod.ts";
import type { FollowRequest } from "../../../../pipeline/flow/mod.ts";
import { endAt, endless, type RunEnd } from "../../../../pipeline/flow/tail/end.ts";
import { newSinkState, type SinkState } from "../../../../pipeline/flow/state/run_state.ts";
import { type TailConsumer, TailStream, type TailStreamOptions } from "../../../../pipeline/flow/tail/stream.ts";
import { Waits } from "../../../../pipeline/waits.ts";
import { Window } from "../../../../pipeline/flow/tail/window.ts";

/** Groups at ticks 10, 20, … of one record each, at offsets 1, 2, … */
async function* groups({ pchannel, from, gate }: FollowRequest, upTo: bigint, signal: AbortSignal) {
  for (let offset = from.offset; offset <= upTo; offset++) {
    await gate!.take(10, signal);
    yield { pchannel, tick: offset * 10n, events: [], records: [], resume: { offset, tick: offset * 10n }, bytes: 10 };
  }
}

class Consumer implements TailConsumer {
  readonly state: SinkState = newSinkState();
  readonly starts: [string, ResumePoint][] = [];
  readonly got: TickGroup[] = [];
  readonly closed: string[] = [];

  constructor(point?: ResumePoint, readonly records = false) {
    if (point !== undefined) this.state.positions.set("p", point);
  }

  startsAt(pchannel: string, from: ResumePoint): void {
    this.starts.push([pchannel, from]);
  }

  needs({ tick }: TickGroup): boolean {
    return tick > (this.starts[0]?.[1].tick ?? 0n);
  }

  cares(): boolean {
    return true;
  }

  run(all: Observable<TickGroup>): Observable<never> {
    return all.pipe(mergeMap((group) => {
      this.got.push(group);
      return EMPTY;
    }, 1));
  }

  closeControl(cut: boolean): void {
    this.closed.push(cut ? "cut" : "end");
  }
}

/** As a log that nobody writes to any more. */
async function* standing(all: AsyncIterable<TickGroup>, signal: AbortSignal) {
  yield* all;
  await new Promise((resolve) => signal.addEventListener("abort", resolve, { once: true }));
}

function stream(
  end: RunEnd,
  options: Partial<Pick<TailStreamOptions, "endless" | "lastTick">> & {
    readonly limit?: number;
    readonly stands?: boolean;
  } = {},
) {
  const requests: FollowRequest[] = [];
  const window = new Window(options.limit ?? 1000);
  const left: string[] = [];
  const it = new TailStream({
    clock: { saw: () => {}, newest: 0n },
    deps: {
      report: { warn: () => {}, info: () => {}, ddl: () => {}, blocked: () => {} },
      selects: () => true,
      waits: new Waits(),
      follow: (request, signal) => {
        requests.push(request);
        return options.stands ? standing(groups(request, 6n, signal), signal) : groups(request, 6n, signal);
      },
    },
    end: { ...end, leave: (pchannel, last) => void left.push(last === undefined ? pchannel : `${pchannel} ${last}`) },
    endless: options.endless ?? false,
    lastTick: options.lastTick ?? (() => Promise.resolve(0n)),
    topicIds: new Map(),
    progress: { channels: () => {}, read: () => {} },
    vchannelsOf: () => [],
    window,
    signal: new AbortController().signal,
  });
  return { it, requests, window, left };
}

const ticks = ({ got }: Consumer) => got.map(({ tick }) => tick);

Deno.test("TailStream reads a pchannel from the smallest of the sinks' points, and tells each its own", async () => {
  const { it, requests } = stream(endAt(50n));
  const behind = new Consumer({ offset: 2n, tick: 10n });
  const ahead = new Consumer({ offset: 4n, tick: 40n }, true);
  await it.run([behind, ahead], new Set(["p"]), []);
  assert.deepEqual(requests.map(({ pchannel, from, records }) => [pchannel, from.offset, records]), [["p", 2n, true]]);
  assert.deepEqual(ticks(behind), [20n, 30n, 40n, 50n]);
  assert.deepEqual(ticks(ahead), [50n], "it does not get what it has");
  assert.deepEqual([behind.starts, ahead.starts], [
    [["p", { offset: 2n, tick: 10n }]],
    [["p", { offset: 4n, tick: 40n }]],
  ]);
  assert.deepEqual([behind.closed, ahead.closed], [["end"], ["end"]]);
});

Deno.test("TailStream gives credit back with the last acknowledgement of a group, whoever that comes from", async () => {
  const { it, window } = stream(endAt(50n));
  const one = new Consumer({ offset: 2n, tick: 10n });
  const two = new Consumer({ offset: 4n, tick: 40n });
  await it.run([one, two], new Set(["p"]), []);
  assert.equal(window.used, 40);
  for (const group of one.got.slice(0, 3)) it.acknowledge(one, group);
  assert.equal(window.used, 10, "only the first needs these");
  const last = one.got[3]!;
  it.acknowledge(one, last);
  it.acknowledge(one, last);
  assert.equal(window.used, 10, "the second has not said so, however often the first does");
  it.acknowledge(two, last);
  assert.equal(window.used, 0);
});

Deno.test("TailStream stops reading at the window while one sink acknowledges nothing, and goes on when it does", async () => {
  const { it, window } = stream(endAt(60n), { limit: 30 });
  const [quick, slow] = [new Consumer({ offset: 1n, tick: 0n }), new Consumer({ offset: 1n, tick: 0n })];
  const done = it.run([quick, slow], new Set(["p"]), []);
  const settle = () => new Promise((resolve) => setTimeout(resolve));
  await settle();
  for (const group of quick.got) it.acknowledge(quick, group);
  await settle();
  assert.deepEqual([ticks(quick), window.used], [[10n, 20n, 30n], 30]);
  for (let i = 0; i < 6; i++) {
    for (const consumer of [quick, slow]) for (const group of consumer.got) it.acknowledge(consumer, group);
    await settle();
  }
  await done;
  assert.deepEqual(ticks(slow), [10n, 20n, 30n, 40n, 50n, 60n]);
  assert.equal(window.used, 0);
});

Deno.test("TailStream gives the credit of a group back that waits for other streams when the reading ends", async () => {
  const waits: RunEnd = { ts: undefined, leave: () => {}, admit: () => new Promise(() => {}) };
  const { it, window } = stream(waits);
  const consumer = new Consumer({ offset: 1n, tick: 0n });
  const done = it.run([consumer], new Set(["p"]), []);
  await new Promise((resolve) => setTimeout(resolve));
  assert.equal(window.used, 10);
  it.end();
  await done;
  assert.equal(window.used, 0);
  assert.deepEqual(consumer.closed, ["cut"], "the run's end was not reached");
});

Deno.test("TailStream leaves what nobody needs, and begins a new collection's pchannel where somebody needs it", async () => {
  const { it, requests, left } = stream(endless(), { endless: true });
  const consumer = new Consumer();
  consumer.state.positions.set("q", { offset: 3n, tick: 30n });
  const of = (pchannel: string) =>
    ({
      id: 1n,
      dbName: "default",
      name: "c",
      pchannels: [pchannel],
      vchannels: [`${pchannel}_1v0`],
      startOffsets: new Map([[pchannel, 5n]]),
    }) as unknown as Collection;
  const done = it.run([consumer], new Set(["unused"]), []);
  assert.deepEqual(left, ["unused"]);
  it.follow([of("p")]);
  it.follow([of("p")]);
  it.follow([of("q")]);
  assert.deepEqual(requests.map(({ pchannel, from }) => [pchannel, from.offset]), [["p", 5n], ["q", 3n]]);
  it.end();
  await done;
});

const onP = {
  id: 1n,
  dbName: "default",
  name: "c",
  pchannels: ["p"],
  vchannels: ["p_1v0"],
  startOffsets: new Map([["p", 1n]]),
} as unknown as Collection;

Deno.test("TailStream that ends reads a pchannel that has no collection any more up to its last tick", async () => {
  const asked: ResumePoint[] = [];
  const lastTick = (_: string, from: ResumePoint) => (asked.push(from), Promise.resolve(60n));
  const { it, left } = stream(endAt(100n), { lastTick, stands: true });
  const consumer = new Consumer({ offset: 1n, tick: 0n });
  const done = it.run([consumer], new Set(["p"]), [onP]);
  it.follow([onP]);
  it.follow([]);
  it.follow([]);
  await done;
  assert.deepEqual(ticks(consumer), [10n, 20n, 30n, 40n, 50n, 60n]);
  assert.deepEqual([left, asked], [["p 60"], [{ offset: 6n, tick: 60n }]]);
});

Deno.test("TailStream that ends goes on with a pchannel that has a collection again, and throws where the log does not say", async () => {
  const { it, left } = stream(endAt(100n), {
    stands: true,
    lastTick: () => Promise.reject(new Error("no answer")),
  });
  const done = it.run([new Consumer({ offset: 1n, tick: 0n })], new Set(["p"]), [onP]);
  it.follow([]);
  it.follow([onP]);
  await new Promise((resolve) => setTimeout(resolve, 2200));
  assert.deepEqual(left, []);
  it.follow([]);
  await assert.rejects(done, /no answer/);
});
