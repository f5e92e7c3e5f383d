/** Every wait of a run has a reason in its status: whole runs over fakes, each standing still somewhere. */
import assert from "node:assert/strict";
import { TidemarkError } from "../../../../pipeline/errors.ts";
import { ArchiveRun, type ArchiveRunOptions } from "../../../../pipeline/flow/archive/run.ts";
import { awaitedCollection } from "../../../../pipeline/flow/rows/awaited_collection.ts";
import { newSinkState } from "../../../../pipeline/flow/state/run_state.ts";
import { Unconfirmed } from "../../../../pipeline/flow/tail/unconfirmed.ts";
import { type Collection, hybridFromMs, type MetaSource, type StateStore } from "../../../../pipeline/model/mod.ts";
import { Waits } from "../../../../pipeline/waits.ts";
import { FakePipeline, type FakeRun, until } from "../../../fakes/pipeline.ts";
import { FakeRowSink } from "../../../fakes/row_sink.ts";
import { FakeSource } from "../../../fakes/source.ts";
import { DEFAULT_LIMITS, type FlowLimits } from "../../../../pipeline/flow/mod.ts";

/** What takes a moment is a wait there. */
function setup(limits: Partial<FlowLimits> = {}) {
  const source = new FakeSource();
  const sink = new FakeRowSink("t");
  const pipeline = new FakePipeline(source, { rows: [sink], limits });
  const waits = new Waits(Date.now, 0);
  pipeline.override = { waits };
  source.create("a", "p_0");
  return { source, sink, pipeline, waits };
}

const shows = (run: FakeRun, component: string, reason: RegExp) =>
  until(
    `${component}: ${reason}`,
    () => run.status().waits.some((wait) => wait.component === component && reason.test(wait.reason)),
  );

/** Resolves it when it is disposed, whatever failed. */
function gate() {
  const { promise, resolve } = Promise.withResolvers<void>();
  return { promise, [Symbol.dispose]: resolve };
}

Deno.test("run shows that limits.in_flight is full, and then that it is stopped and drains", async () => {
  const { source, sink, pipeline } = setup({ inFlightBytes: 300, batchRows: 1, laneDepth: 1 });
  await pipeline.once();
  using slow = gate();
  sink.beforeWrite = slow.promise;
  using _ticking = source.ticking();
  const run = pipeline.start();
  for (let i = 0n; i < 100n; i++) {
    source.insert("a", [i, i]);
    source.tick();
  }
  await shows(run, "run", /^limits\.in_flight \(.*\) is read and not yet written by every sink/);
  assert.notEqual(run.status().phase, "waiting");
  const stopped = run.stop();
  await shows(run, "run", /^Stopped: what was read is written first/);
  slow[Symbol.dispose]();
  await stopped;
  assert.deepEqual(run.status().waits, []);
});

Deno.test("run shows a state that is slow to be locked or written", async () => {
  const { pipeline } = setup();
  const lost = new AbortController();
  for (const what of ["lock", "write"] as const) {
    using slow = gate();
    const state: StateStore = {
      location: "etcd x",
      lock: async () => {
        if (what === "lock") await slow.promise;
        return { lost: lost.signal, [Symbol.asyncDispose]: () => Promise.resolve() };
      },
      read: () => Promise.resolve(undefined),
      write: () => what === "write" ? slow.promise : Promise.resolve(),
      remove: () => Promise.resolve(),
      close: () => Promise.resolve(),
    };
    pipeline.override = { ...pipeline.override, state };
    const run = pipeline.start({ kind: "base" });
    await shows(run, "state", what === "lock" ? /^Asks for the lock of etcd x$/ : /^etcd x is slow to take the state$/);
    slow[Symbol.dispose]();
    await run.result;
  }
});

Deno.test("run that ends shows whom a channel that is read to its end waits for", async () => {
  const { source, pipeline } = setup();
  source.create("b", "p_1");
  source.insert("a", [1n, 1n]);
  source.insert("b", [1n, 1n]);
  using slow = gate();
  pipeline.override = {
    ...pipeline.override,
    follow: async function* (request, signal) {
      if (request.pchannel === "p_1") await slow.promise;
      yield* source.follow(request, signal);
    },
  };
  using _ticking = source.ticking();
  const run = pipeline.start({ kind: "once" });
  await shows(run, "run", /^p_0 is read as far as this run needs it; waits for p_1 to be read to the end/);
  slow[Symbol.dispose]();
  await run.result;
});

Deno.test("run shows that it reads the metadata", async () => {
  const { source, pipeline } = setup();
  using slow = gate();
  const snapshot: MetaSource["snapshot"] = async (signal) => {
    await slow.promise;
    return await source.meta.snapshot(signal);
  };
  pipeline.override = { ...pipeline.override, meta: { ...source.meta, snapshot } };
  using _ticking = source.ticking();
  const run = pipeline.start({ kind: "once" });
  await shows(run, "run", /^Reads the source's metadata$/);
  slow[Symbol.dispose]();
  await run.result;
});

Deno.test("awaitedCollection shows a collection that the source has not finished making", async () => {
  const waits = new Waits(Date.now, 0);
  const made = { id: 7n } as Collection;
  let creating = true;
  const lookup = () =>
    Promise.resolve(creating ? { state: "creating" as const } : { state: "live" as const, collection: made });
  const meta = { lookup } as unknown as MetaSource;
  const never = () => assert.fail("nothing is to be said");
  const report = { warn: never, info: never, ddl: never, blocked: never };
  const found = awaitedCollection({ meta, report, waits }, 7n, new AbortController().signal);
  await until("it is shown", () => waits.list().length > 0);
  assert.deepEqual(waits.list().map(({ component, collection }) => [component, collection]), [
    ["sources.meta", "collection 7"],
  ]);
  creating = false;
  assert.equal((await found)?.collection, made);
});

Deno.test("Unconfirmed shows records that no time tick confirms, until one does", () => {
  const waits = new Waits();
  using unconfirmed = new Unconfirmed(waits, "p_0");
  const end = (sinceMs: number) => ({ end: { offset: 9n, sinceMs, waiting: hybridFromMs(1000), complete: undefined } });
  unconfirmed.see(end(100));
  assert.deepEqual(waits.list(), []);
  unconfirmed.see(end(6000));
  unconfirmed.see(end(7000));
  assert.match(
    waits.list()[0]!.reason,
    /^The log of p_0 ends with records of 1970-01-01T00:00:01.* no time tick confirms/,
  );
  unconfirmed.see({});
  assert.deepEqual(waits.list(), []);
});

Deno.test("ArchiveRun shows when a base that failed is tried again, and that the rest goes on", async () => {
  const waits = new Waits();
  const stop = new AbortController();
  const state = newSinkState();
  const leg = {
    state,
    due: () => "the schedule",
    rebase: () => Promise.reject(new TidemarkError("refused", "no room")),
    baseFailed: (error: string) => {
      state.bases = { triedAt: "", goodAt: "", failures: 1, error };
      return Promise.resolve();
    },
  };
  const options = {
    deps: {
      limits: DEFAULT_LIMITS,
      waits,
      now: () => 1000,
      meta: { snapshot: () => Promise.resolve({ catalog: { collections: [] } }) },
      report: { info: () => {}, warn: () => {} },
    },
    sink: { name: "vault", logArchive: true },
    leg,
    work: stop.signal,
  } as unknown as ArchiveRunOptions;
  const ended = new ArchiveRun(options).rebaseForEver(stop.signal);
  await until("it is shown", () => waits.list().length > 0);
  const [{ component, aside, nextMs, reason }] = waits.list() as [ReturnType<Waits["list"]>[number]];
  assert.deepEqual([component, aside, nextMs], ["sinks.vault", true, 6000]);
  assert.match(reason, /^The last base failed: no room/);
  stop.abort();
  await ended;
  assert.deepEqual(waits.list(), []);
});
