/** A run to the log's end that dies on its way. */
import assert from "node:assert/strict";
import type { CrashPoint } from "../../pipeline/flow/mod.ts";
import type { FakePipeline } from "./pipeline.ts";
import type { FakeRowSink } from "./row_sink.ts";
import type { FakeSource } from "./source.ts";

/**
 * Kills it at the crash point before which it has passed so many others, or at the first of that name; where there are fewer it
 * lives. A dead run's target does nothing more. Returns whether it died.
 */
export async function onceUnlessKilled(
  source: Pick<FakeSource, "ticking">,
  pipeline: FakePipeline,
  passes: number | CrashPoint,
  target?: FakeRowSink,
): Promise<boolean> {
  let left = passes;
  let died: Promise<void> | undefined;
  pipeline.override = {
    crash: (point) => {
      if (died !== undefined || (typeof left === "number" ? left-- > 0 : left !== point)) return;
      if (target !== undefined) target.gone = true;
      // Nobody hears what a dead process would have said.
      died = run.kill().catch(() => {});
    },
  };
  using _ticking = source.ticking();
  const run = pipeline.start({ kind: "once" });
  await run.result.catch((error) => assert.ok(died !== undefined, error));
  await died;
  if (target !== undefined) target.gone = false;
  pipeline.override = {};
  return died !== undefined;
}
