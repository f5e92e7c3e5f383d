/** `run`: the base copy if none is recorded, then the tail. */
import { flowDependencies } from "../../config/mod.ts";
import { EXIT, TidemarkError, toTidemarkError } from "../../pipeline/errors.ts";
import { type RunOptions, type RunResult, startRun } from "../../pipeline/flow/mod.ts";
import { isoOfHybrid } from "../../pipeline/model/mod.ts";
import type { CommandContext } from "../context.ts";
import { crashPointsFrom } from "../crash_hook.ts";
import { flowReport } from "../flow_report.ts";
import { printResult } from "../print.ts";
import { showProgress } from "../progress.ts";
import { refusedRowsText } from "../render_status.ts";
import { parseMoment } from "../time.ts";

export interface RunCommandOptions {
  readonly once: boolean;
  /** As given on the command line. */
  readonly until: string | undefined;
}

/** Throws `usage` where the configuration reads a backup, and what {@link runUntilEnd} throws. */
export function runCommand(context: CommandContext, options: RunCommandOptions): Promise<number> {
  if (context.config().sources.backup !== undefined) {
    throw new TidemarkError("usage", "The configuration reads a backup, a run reads a running Milvus", {
      hint: "Use tidemark backup restore with the same --config.",
    });
  }
  const end: RunOptions["end"] = options.until !== undefined
    ? { kind: "until", ts: parseMoment(options.until, context.terminal.now()) }
    : { kind: options.once ? "once" : "follow" };
  return runUntilEnd(context, { end });
}

/**
 * Ends with 0 when it reached its end, 3 when something is blocked or was refused, and by a signal with the status that the
 * caller takes from it. Throws what the run throws.
 */
export async function runUntilEnd(context: CommandContext, options: RunOptions): Promise<number> {
  const { terminal, screen, log } = context;
  const { end, restore } = options;
  const deps = await flowDependencies(context.components(), {
    report: flowReport(log),
    now: () => terminal.now().getTime(),
    crash: crashPointsFrom(terminal.env("TIDEMARK_CRASH_AT")),
    ...(restore !== undefined && end.kind === "until" ? { restoreTo: end.ts } : {}),
  });
  const run = startRun(deps, options, context.stop, context.kill);
  let result: RunResult;
  {
    using _progress = showProgress({ terminal, screen, log, status: () => run.status() });
    try {
      result = await run.result;
    } catch (error) {
      // Stopped by request is no failure: what was acknowledged is saved.
      if (context.stop.aborted && toTidemarkError(error).code === "aborted") return EXIT.ok;
      throw error;
    }
  }
  const status = run.status();
  const carried = status.collections.filter(({ phase }) => phase !== "blocked").length;
  const stopped = context.stop.aborted;
  printResult(context, { ...result, status }, () => summary(result, end.kind, { stopped, carried }));
  const { blocked, refused, refusedRows, basesFailed } = result;
  const missing = blocked.length + refused.length + refusedRows.length + basesFailed.length;
  return missing > 0 ? EXIT.partial : EXIT.ok;
}

/** Pure. `carried`: collections that are on a sink and not blocked. */
export function completeText({ upTo, blocked, refusedRows }: RunResult, carried: number): string {
  const moment = `${isoOfHybrid(upTo)} (${upTo})`;
  if (blocked.length > 0 && carried === 0) return `Nothing is complete up to ${moment}: every collection is blocked`;
  const rows = refusedRows.reduce((sum, { held, deadLetters }) => sum + held + deadLetters, 0);
  const but = [
    ...blocked.length === 0 ? [] : [`${blocked.length} that are blocked`],
    ...rows === 0 ? [] : [`${rows} ${rows === 1 ? "row" : "rows"} that the target refused`],
  ];
  return `Complete up to ${moment} on all channels${but.length === 0 ? "" : `, but for ${but.join(" and ")}`}`;
}

function summary(
  result: RunResult,
  end: RunOptions["end"]["kind"],
  { stopped, carried }: { readonly stopped: boolean; readonly carried: number },
): string[] {
  const lines: string[] = [];
  if (stopped) lines.push("Stopped; the next run goes on from here");
  // No log was read: none was asked for, or the backup keeps none.
  else if (end === "base" || (end === "once" && result.upTo === 0n)) {
    lines.push("The base is complete, each channel as of its own checkpoint");
  } else if (end !== "follow") {
    lines.push(completeText(result, carried));
  }
  for (const { collection, reason } of result.blocked) lines.push(`blocked  ${collection}: ${reason}`);
  for (const { sink, reason } of result.basesFailed) lines.push(`failed   The last base of ${sink}: ${reason}`);
  for (const { sentence, detail } of result.refused) lines.push(`refused  ${sentence}: ${detail}`);
  for (const one of result.refusedRows) lines.push(`refused  ${refusedRowsText(one.collection, one)}`);
  return lines;
}
