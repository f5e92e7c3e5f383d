/** A run to the log's end that dies on its way. */
import assert from "node:assert/strict";
import type { FakePipeline } from "./pipeline.ts";
import type { FakeRowSink } from "./row_sink.ts";
import type { FakeSource } from "./source.ts";

/** Kills it at the crash point before which it has passed so many others; where there are fewer it lives. A dead run's target does nothing more. */
export async function onceUnlessKilled(
  source: FakeSource,
  pipeline: FakePipeline,
  passes: number,
  target?: FakeRowSink,
): Promise<void> {
  let left = passes;
  let died: Promise<void> | undefined;
  pipeline.override = {
    crash: () => {
      if (died !== undefined || left-- > 0) return;
      if (target !== undefined) target.gone = true;
      died = run.kill();
    },
  };
  using _ticking = source.ticking();
  const run = pipeline.start({ kind: "once" });
  await run.result.catch((error) => assert.ok(died !== undefined, error));
  await died;
  if (target !== undefined) target.gone = false;
  pipeline.override = {};
}
