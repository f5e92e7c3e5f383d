import assert from "node:assert/strict";
import { newRunState, newSinkState, RunProgress } from "../../../../pipeline/flow/state/mod.ts";
import { hybridFromMs, lossMs, type TickGroup } from "../../../../pipeline/model/mod.ts";

const CHANNEL = "by-dev-rootcoord-dml_0";
const T0 = Date.parse("2026-11-21T12:00:00Z");

const END = { offset: 101n, sinceMs: 0, waiting: undefined, complete: undefined };

/** A run of one sink that has everything up to `tickMs`, and a clock that is moved by hand. */
function rig(tickMs: number) {
  const clock = { ms: T0 };
  const state = newRunState("p", "c", new Date(T0));
  const sink = newSinkState();
  sink.positions.set(CHANNEL, { offset: 100n, tick: hybridFromMs(tickMs) });
  state.sinks.set("replica", sink);
  const progress = new RunProgress(state, () => clock.ms, { list: () => [] });
  progress.channels([CHANNEL]);
  const group = (tickMs: number, more: Partial<TickGroup> = {}): TickGroup => ({
    pchannel: CHANNEL,
    tick: hybridFromMs(tickMs),
    events: [],
    records: [],
    resume: { offset: 101n, tick: hybridFromMs(tickMs) },
    bytes: 0,
    ...more,
  });
  return {
    clock,
    state,
    sink,
    progress,
    read: (tickMs: number, more?: Partial<TickGroup>) => progress.read(group(tickMs, more)),
    applied: (tickMs: number) => sink.positions.set(CHANNEL, { offset: 101n, tick: hybridFromMs(tickMs) }),
    lag: () => progress.status().lagMs,
  };
}

Deno.test("RunProgress says the backlog of a restart at once, before a record was read", () => {
  assert.equal(rig(T0 - 3_600_000).lag(), 3_600_000);
});

Deno.test("RunProgress lets the lag of a reader that stands still grow, also of one that had reached the end of the log", () => {
  const { clock, lag, read } = rig(T0 - 200);
  assert.equal(lag(), 200);
  clock.ms += 60_000;
  assert.equal(lag(), 60_200);
  read(T0 - 200, { end: END });
  assert.equal(lag(), 0);
  clock.ms += 60_000;
  assert.equal(lag(), 60_000);
});

Deno.test("RunProgress does not call what was read and is on no sink yet arrived", () => {
  const { clock, lag, read, applied } = rig(T0 - 200);
  clock.ms += 30_000;
  read(T0 + 30_000);
  read(T0 + 30_000, { end: END });
  assert.equal(lag(), 30_200);
  applied(T0 + 30_000);
  assert.equal(lag(), 0);
});

Deno.test("RunProgress knows no lag where the source is idle: the log ends where the run is", () => {
  const { clock, lag, read } = rig(T0 - 3_600_000);
  for (let minute = 0; minute < 5; minute++) {
    read(T0 - 3_600_000, { end: END });
    assert.equal(lag(), 0);
    clock.ms += 60_000;
  }
});

Deno.test("RunProgress counts from its cut where a sink has nothing of the log yet, not from the beginning of time", () => {
  const { read, applied, lag, sink, progress } = rig(T0);
  sink.positions.clear();
  const vchannel = `${CHANNEL}_1v0`;
  const cut = { pchannel: CHANNEL, collectionId: 1n, held: false };
  sink.vchannels.set(vchannel, { ...cut, vchannel, offset: 90n, ts: hybridFromMs(T0 - 40_000) });
  sink.vchannels.set("later", { ...cut, vchannel: "later", offset: 95n, ts: hybridFromMs(T0 - 20_000) });
  assert.equal(lag(), 0);
  assert.equal(progress.status().channels[0]!.neededMs, 40_000);
  read(T0);
  read(T0, { end: END });
  assert.equal(lag(), 40_000);
  assert.equal(progress.status().channels[0]!.position, "90");
  applied(T0);
  assert.equal(lag(), 0);
});

Deno.test("RunProgress says what a held collection still needs of the log, however far its channel is", () => {
  const { read, lag, sink, progress } = rig(T0);
  const vchannel = `${CHANNEL}_1v0`;
  const ts = hybridFromMs(T0 - 7_200_000);
  sink.vchannels.set(vchannel, { pchannel: CHANNEL, vchannel, collectionId: 1n, held: true, offset: 90n, ts });
  progress.retains(CHANNEL, { ms: 10_800_000, why: "" });
  read(T0, { end: END });
  assert.equal(lag(), 0);
  const [channel] = progress.status().channels;
  assert.equal(channel!.neededMs, 7_200_000);
  assert.equal(lossMs(channel!), 3_600_000);
  assert.equal(lossMs(channel!, 4_000_000), 0);
  assert.equal(lossMs({ ...channel!, retention: { ms: undefined, why: "for ever" } }), undefined);
  sink.vchannels.set(vchannel, { ...sink.vchannels.get(vchannel)!, held: false });
  assert.equal(progress.status().channels[0]!.neededMs, 0);
});

Deno.test("RunProgress counts a held backup in what the log must still hold, not in the lag of what follows", () => {
  const { state, read, lag, progress } = rig(T0);
  const vault = newSinkState();
  vault.positions.set(CHANNEL, { offset: 90n, tick: hybridFromMs(T0 - 7_200_000) });
  state.sinks.set("vault", vault);
  progress.retains(CHANNEL, { ms: 10_800_000, why: "" });
  read(T0, { end: END });
  assert.equal(lag(), 7_200_000);
  progress.holds("vault", "The keys are refused");
  assert.equal(lag(), 0);
  const [channel] = progress.status().channels;
  assert.deepEqual([channel!.lagMs, channel!.neededMs, channel!.position], [0, 7_200_000, "90"]);
  assert.equal(lossMs(channel!), 3_600_000);
  progress.goesOn("vault");
  assert.equal(lag(), 7_200_000);
});

Deno.test("RunProgress says how far all sinks are, and that a channel is idle only once all of them have what its log holds", () => {
  const { clock, state, read, progress } = rig(T0);
  const vault = newSinkState();
  vault.positions.set(CHANNEL, { offset: 90n, tick: hybridFromMs(T0 - 7_200_000) });
  state.sinks.set("vault", vault);
  const shown = () => {
    const { tick, idleMs, position } = progress.status().channels[0]!;
    return [tick, idleMs, position];
  };
  read(T0, { end: END });
  clock.ms += 300;
  assert.deepEqual(shown(), [hybridFromMs(T0 - 7_200_000), undefined, "90"]);
  // None of what came since belongs to the archive: its position stays.
  progress.whole("vault", CHANNEL, hybridFromMs(T0));
  assert.deepEqual(shown(), [hybridFromMs(T0), 300, "90"]);
  read(T0 + 300);
  assert.equal(shown()[1], undefined);
});
