/** `run`: the base copy if none is recorded, then the tail. */
import { encryptedSinks, flowDependencies } from "../../config/mod.ts";
import { EXIT, TidemarkError, toTidemarkError } from "../../pipeline/errors.ts";
import { type FlowReport, type RunOptions, type RunResult, startRun } from "../../pipeline/flow/mod.ts";
import { formatJson, type Json } from "../../pipeline/json.ts";
import { isoOfHybrid } from "../../pipeline/model/mod.ts";
import type { CommandContext } from "../context.ts";
import { teeLog } from "../log.ts";
import { watchQueueEnds } from "../queue_ends.ts";
import { startRunServer } from "../run_server.ts";
import type { Sidecar } from "../server/mod.ts";
import { crashPointsFrom } from "../crash_hook.ts";
import { flowReport } from "../flow_report.ts";
import { printResult } from "../print.ts";
import { showProgress } from "../progress.ts";
import { refusedRowsText } from "../render_status.ts";
import { parseMoment } from "../time.ts";
import { plural } from "../../pipeline/units/mod.ts";

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
 * Ends with 0 when it reached its end, 3 when something is blocked or held or was refused, and by a signal with the status that the
 * caller takes from it. Throws what the run throws.
 */
export async function runUntilEnd(context: CommandContext, options: RunOptions): Promise<number> {
  const { terminal, screen } = context;
  let sidecar: Sidecar | undefined;
  const log = teeLog(
    context.log,
    (level, message) => sidecar?.log({ time: terminal.now().toISOString(), level, message }),
  );
  const { end, restore } = options;
  for (const line of encryptedSinks(context.config())) log.info(line);
  const deps = await flowDependencies(context.components(), {
    report: withDdl(context, flowReport(log), (change) => sidecar?.ddl(change)),
    now: () => terminal.now().getTime(),
    crash: crashPointsFrom(terminal.env("TIDEMARK_CRASH_AT")),
    ...(restore !== undefined && end.kind === "until" ? { restoreTo: end.ts } : {}),
  });
  const abandoned = new AbortController();
  const run = startRun(deps, options, context.stop, AbortSignal.any([context.kill, abandoned.signal]));
  // It may fail while the server beside it is still being loaded.
  run.result.catch(() => {});
  // Only who watches from elsewhere asks the queue, too.
  const watched = context.lines || context.config().server !== undefined;
  await using ends = watched && context.config().sources.log !== undefined
    ? watchQueueEnds({
      log: () => context.components().log(),
      channels: () => run.status().channels.map(({ pchannel }) => pchannel),
      now: () => terminal.now(),
    })
    : undefined;
  const statusNow = () => ends?.with(run.status()) ?? run.status();
  let result: RunResult;
  {
    using _progress = showProgress({ terminal, screen, log, lines: context.lines, status: statusNow });
    try {
      sidecar = await startRunServer(context, statusNow).catch(async (error) => {
        abandoned.abort(error);
        await run.result.catch(() => {});
        throw error;
      });
      result = await run.result;
    } catch (error) {
      // Stopped by request is no failure: what was acknowledged is saved.
      const { code, message } = toTidemarkError(error);
      if (context.stop.aborted && code === "aborted") return EXIT.ok;
      sidecar?.failed(message);
      throw error;
    } finally {
      await sidecar?.[Symbol.asyncDispose]();
    }
  }
  const status = run.status();
  const carried = status.collections.filter(({ phase }) => phase !== "blocked").length;
  const stopped = context.stop.aborted;
  printResult(context, { ...result, status }, () => summary(result, end.kind, { stopped, carried }));
  const { blocked, refused, refusedRows, held, basesFailed } = result;
  const missing = blocked.length + refused.length + refusedRows.length + held.length + basesFailed.length;
  return missing > 0 ? EXIT.partial : EXIT.ok;
}

/** Pure. `carried`: collections that are on a sink and not blocked. */
export function completeText({ upTo, blocked, refusedRows, held }: RunResult, carried: number): string {
  const moment = `${isoOfHybrid(upTo)} (${upTo})`;
  if (blocked.length > 0 && carried === 0) return `Nothing is complete up to ${moment}: every collection is blocked`;
  const rows = refusedRows.reduce((sum, { held, deadLetters }) => sum + held + deadLetters, 0);
  const but = [
    ...blocked.length === 0 ? [] : [`${blocked.length} that ${plural(blocked.length, "is", "are")} blocked`],
    ...held.map(({ sink }) => `the backup ${sink}, which is held`),
    ...rows === 0 ? [] : [`${rows} ${plural(rows, "row")} that the target refused`],
  ];
  return `Complete up to ${moment} on all channels${but.length === 0 ? "" : `, but for ${but.join(" and ")}`}`;
}

/** Each change of structure also as a JSON line, for the server that started it, and for the one beside it. */
function withDdl({ lines, terminal }: CommandContext, report: FlowReport, hear: (change: Json) => void): FlowReport {
  return {
    ...report,
    ddl: (outcome) => {
      const { sentence, result, detail } = outcome;
      const change = { at: terminal.now().toISOString(), sentence, result, detail };
      if (lines) terminal.out(formatJson({ ddl: change }) + "\n");
      hear(change);
      report.ddl(outcome);
    },
  };
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
  for (const { sink, reason } of result.held) lines.push(`held     ${sink}: ${reason}`);
  for (const { sink, reason } of result.basesFailed) lines.push(`failed   The last base of ${sink}: ${reason}`);
  for (const { sentence, detail } of result.refused) lines.push(`refused  ${sentence}: ${detail}`);
  for (const one of result.refusedRows) lines.push(`refused  ${refusedRowsText(one.collection, one)}`);
  return lines;
}
