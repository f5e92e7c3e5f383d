/** What is looked at before anything is made on a target: a mistake in the setup must leave nothing behind there. */
import { TidemarkError } from "../../errors.ts";
import type { Collection, RowSink, Snapshot } from "../../model/mod.ts";
import { liveSegments } from "../../transforms/mod.ts";
import type { OpenWait, Waits } from "../../waits.ts";
import { checkFiles, refuseWrongRoot } from "../base/mod.ts";
import type { FlowDependencies, FlowReport } from "../dependencies.ts";
import { pause } from "../../pause.ts";

/** A target that is started together with the run needs a moment. */
const REACH_MS = 30_000;
const REACH_AGAIN_MS = 1000;

/**
 * Throws `unreachable` where a target that nothing was ever copied to does not answer for half a minute: more likely than
 * an outage is a mistake in its address, and waiting for ever would hide it.
 */
export async function reach(
  sink: Pick<RowSink, "check" | "name">,
  { now, report, waits, wait = pause }: ReachDependencies,
  signal: AbortSignal,
): Promise<void> {
  const end = now() + REACH_MS;
  using open = new DisposableStack();
  let waiting: OpenWait | undefined;
  for (;;) {
    const away = (await sink.check(signal)).find(({ ok, code }) => ok === "fail" && code === "unreachable");
    if (away === undefined) return;
    const { what, detail } = away;
    if (now() >= end) {
      throw new TidemarkError("unreachable", `${what}: ${detail}`, {
        hint: "Nothing was copied there yet, so the run does not wait for it. `tidemark check` looks at everything.",
      });
    }
    const reason = `${what}: ${detail} The run ends if that lasts for ${REACH_MS / 1000} s`;
    report.warn(`reach ${sink.name}`, reason);
    waiting ??= open.use(waits.begin({ component: `sinks.${sink.name}` }, reason));
    waiting.say(reason, now() + REACH_AGAIN_MS);
    await wait(REACH_AGAIN_MS, signal);
  }
}

export interface ReachDependencies {
  /** Unix ms. */
  readonly now: () => number;
  readonly report: Pick<FlowReport, "warn">;
  readonly waits: Pick<Waits, "begin">;
  readonly wait?: (ms: number, signal: AbortSignal) => Promise<void>;
}

/**
 * Throws what keeps the files of `collections` from being read at all: wrong bucket, root path, cluster or key. A source whose
 * collections have no files yet may have an empty bucket.
 */
export async function preflight(
  deps: Pick<FlowDependencies, "binlogs" | "meta">,
  snapshot: Snapshot,
  collections: readonly Collection[],
  signal: AbortSignal,
): Promise<void> {
  const needed = collections.some((collection) =>
    liveSegments(snapshot, collection).some(({ binlogs, rows }) => binlogs.length > 0 || rows > 0n)
  );
  if (!needed) return;
  const failed = (await deps.binlogs.check(signal)).find((line) => line.ok === "fail");
  if (failed === undefined) {
    if ((await checkFiles(snapshot, deps.binlogs, signal)).some(({ ok }) => ok === "fail")) {
      await refuseWrongRoot(deps, signal);
    }
    return;
  }
  throw new TidemarkError(failed.code ?? "not_found", `${failed.what}: ${failed.detail}`, {
    hint:
      "Mend sources.binlogs; `tidemark check` looks at everything that the configuration names. No collection was made.",
  });
}
