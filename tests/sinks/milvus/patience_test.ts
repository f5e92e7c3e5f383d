import assert from "node:assert/strict";
import { TidemarkError } from "../../../pipeline/errors.ts";
import { backoffMs, createPatience, pause, type SinkState } from "../../../sinks/milvus/patience.ts";

const signal = new AbortController().signal;

function harness() {
  const states: SinkState[] = [];
  const pauses: number[] = [];
  let now = 1_000;
  const patience = createPatience({
    now: () => now,
    random: () => 0,
    pause: (ms, stop) => {
      stop.throwIfAborted();
      pauses.push(ms);
      now += ms;
      return Promise.resolve();
    },
    onState: (state) => states.push(state),
  });
  return { patience, states, pauses };
}

Deno.test("persist tries again until it works and shows since when it waits", async () => {
  const { patience, states, pauses } = harness();
  let calls = 0;
  const result = await patience.persist(() => {
    if (++calls < 4) throw new TidemarkError("unreachable", `away ${calls}`);
    return Promise.resolve("done");
  }, signal);
  assert.equal(result, "done");
  assert.deepEqual(pauses, [50, 100, 200]);
  assert.deepEqual(states, [
    { kind: "waiting", reason: "away 1", sinceMs: 1_000 },
    { kind: "waiting", reason: "away 2", sinceMs: 1_000 },
    { kind: "waiting", reason: "away 3", sinceMs: 1_000 },
    { kind: "ok" },
  ]);
});

Deno.test("persist hands the attempt what failed before", async () => {
  const { patience } = harness();
  const seen: (string | undefined)[] = [];
  await patience.persist((tried, last) => {
    seen.push(last?.code);
    if (tried === 0) throw new TidemarkError("throttled", "slower");
    return Promise.resolve();
  }, signal);
  assert.deepEqual(seen, [undefined, "throttled"]);
});

Deno.test("persist throws at once what waiting does not mend", async () => {
  for (const code of ["refused", "authentication", "not_found", "unsupported"] as const) {
    const { patience, states } = harness();
    let calls = 0;
    await assert.rejects(
      patience.persist(() => {
        calls++;
        throw new TidemarkError(code, "no");
      }, signal),
      { code },
    );
    assert.equal(calls, 1);
    assert.deepEqual(states, []);
  }
});

Deno.test("persist shows the call that waits longest while several wait", async () => {
  const { patience, states } = harness();
  const gates = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
  const run = (i: number) =>
    patience.persist(async (tried) => {
      if (tried === 0) throw new TidemarkError("unreachable", `call ${i}`);
      await gates[i]!.promise;
    }, signal);
  const first = run(0);
  const second = run(1);
  gates[0]!.resolve();
  await first;
  assert.deepEqual(states.at(-1), { kind: "waiting", reason: "call 1", sinceMs: 1_050 });
  gates[1]!.resolve();
  await second;
  assert.deepEqual(states.at(-1), { kind: "ok" });
});

Deno.test("backoffMs grows, is bounded, and is shorter for a server that asks to slow down", () => {
  assert.equal(backoffMs(0, false, 0), 50);
  assert.equal(backoffMs(0, false, 0.999999), 100);
  assert.equal(backoffMs(100, false, 0.999999), 10_000);
  assert.equal(backoffMs(100, true, 0.999999), 3_000);
});

Deno.test("pause ends with its signal", async () => {
  const controller = new AbortController();
  const waiting = pause(60_000, controller.signal);
  controller.abort();
  await assert.rejects(waiting, { code: "aborted" });
  await assert.rejects(pause(60_000, controller.signal), { code: "aborted" });
});
