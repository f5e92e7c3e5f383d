import assert from "node:assert/strict";
import { TidemarkError } from "../../../../pipeline/errors.ts";
import { failedBase } from "../../../../pipeline/flow/archive/bases.ts";
import type { ArchiveLeg } from "../../../../pipeline/flow/archive/leg.ts";
import { DEFAULT_LIMITS } from "../../../../pipeline/flow/mod.ts";
import { ArchiveRun, type ArchiveRunOptions } from "../../../../pipeline/flow/archive/run.ts";
import { Waits } from "../../../../pipeline/waits.ts";
import { newSinkState } from "../../../../pipeline/flow/state/run_state.ts";

Deno.test("ArchiveRun tells of every base that fails, also for the reason of the one before, and keeps it in the state", async () => {
  const said: [string, string][] = [];
  const stop = new AbortController();
  const state = newSinkState();
  state.bases = { triedAt: "", goodAt: "2026-11-20T03:00:00.000Z", failures: 1, error: "the keys are refused" };
  const leg = {
    state,
    due: () => "the schedule",
    rebase: () => Promise.reject(new TidemarkError("authentication", "the keys are refused", { hint: "Check them." })),
    baseFailed: (error: string) => {
      const { goodAt, failures } = state.bases!;
      state.bases = { triedAt: "now", goodAt, failures: failures + 1, error };
      return Promise.resolve();
    },
  };
  const options = {
    deps: {
      limits: DEFAULT_LIMITS,
      waits: new Waits(),
      now: () => 0,
      meta: { snapshot: () => Promise.resolve({ catalog: { collections: [] } }) },
      report: {
        info: () => {},
        warn: (key: string, message: string) => {
          said.push([key, message]);
          stop.abort();
        },
      },
    },
    sink: { name: "vault", logArchive: true },
    leg: leg as unknown as ArchiveLeg,
    work: stop.signal,
  } as unknown as ArchiveRunOptions;
  await new ArchiveRun(options).rebaseForEver(stop.signal);
  assert.deepEqual(said, [[
    "rebase vault 2 2026-11-20T03:00:00.000Z",
    "The new base of vault failed, 2 in a row; the last good one is of 2026-11-20T03:00:00.000Z: the keys are refused. Check them.",
  ]]);
  assert.equal(state.bases.failures, 2);
});

Deno.test("ArchiveRun of a run that ends tells of the new base that failed, and throws what was wrong with the first one", async () => {
  const warned: string[] = [];
  const state = newSinkState();
  const refused = () => Promise.reject(new TidemarkError("authentication", "the keys are refused"));
  const leg = {
    state,
    due: () => "the schedule",
    rebase: refused,
    base: refused,
    baseFailed: (error: string) => Promise.resolve(void (state.bases = failedBase(state.bases, error, 0))),
  };
  const report = { info: () => {}, warn: (_key: string, message: string) => void warned.push(message) };
  const options = {
    deps: {
      meta: { snapshot: () => Promise.resolve({ catalog: { collections: [] } }) },
      now: () => 0,
      report,
      limits: DEFAULT_LIMITS,
    },
    sink: { name: "vault", logArchive: false },
    leg: leg as unknown as ArchiveLeg,
    phase: () => {},
    others: () => false,
    work: new AbortController().signal,
  } as unknown as ArchiveRunOptions;
  const { signal } = new AbortController();
  assert.equal(await new ArchiveRun(options).rebaseOnce(signal), false);
  assert.deepEqual(warned, ["The new base of vault failed: the keys are refused"]);
  await assert.rejects(new ArchiveRun(options).base(signal), { code: "authentication" });
  assert.equal(state.bases!.failures, 2);
  // Who stops a run has no failed base.
  await assert.rejects(new ArchiveRun(options).rebaseOnce(AbortSignal.abort()), { code: "authentication" });
  assert.equal(state.bases!.failures, 2);
});
