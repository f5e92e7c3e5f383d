/** `verify`: source against target. */
import { flowDependencies } from "../../config/mod.ts";
import { EXIT, TidemarkError } from "../../pipeline/errors.ts";
import { noCrashPoints, type VerifyReport, verifyRun } from "../../pipeline/flow/mod.ts";
import { isoOfHybrid } from "../../pipeline/model/mod.ts";
import { parseDuration } from "../../pipeline/units/mod.ts";
import type { CommandContext } from "../context.ts";
import { flowReport } from "../flow_report.ts";
import { printResult } from "../print.ts";
import { count } from "../render_status.ts";
import { table } from "../table.ts";

export interface VerifyCommandOptions {
  /** Compare only the numbers of rows. */
  readonly countsOnly: boolean;
  /** How long to wait for the copy, as given. */
  readonly wait: string;
}

/** Differing keys that are named per collection. */
const NAMES = 10;

/** 15 if source and target differ, 3 if something could not be compared. */
export async function verifyCommand(context: CommandContext, options: VerifyCommandOptions): Promise<number> {
  const waitMs = parseDuration(options.wait);
  if (waitMs === undefined) {
    throw new TidemarkError("usage", `--wait ${options.wait} is not a duration`, {
      hint: "Give one such as 30s or 5m.",
    });
  }
  const { terminal, log } = context;
  const deps = await flowDependencies(context.components(), {
    report: flowReport(log),
    now: () => terminal.now().getTime(),
    crash: noCrashPoints,
  });
  const report = await verifyRun(deps, {
    countsOnly: options.countsOnly,
    names: NAMES,
    waitMs,
    onProgress: (message) => log.info(message),
  }, context.stop);
  printResult(context, report, () => renderVerify(report));
  if (report.collections.some((item) => item.verdict === "different")) return EXIT.damage;
  return report.equal ? EXIT.ok : EXIT.partial;
}

/** Pure. */
export function renderVerify(report: VerifyReport): string[] {
  const lines = [
    `Compared at ${isoOfHybrid(report.ts)} (${report.ts})`,
    ...table([
      ["collection", "on", "verdict", "expected", "target", "missing", "extra", "content"],
      ...report.collections.map((item) => [
        item.source === item.target ? item.source : `${item.source} -> ${item.target}`,
        item.sink,
        item.verdict.replace("_", " "),
        // What was not compared has no numbers.
        ...[item.expectedRows, item.targetRows, item.missing, item.extra, item.content].map((number) =>
          item.verdict === "held" || item.verdict === "not_loaded" ? "-" : count(number)
        ),
      ]),
    ], { right: [3, 4, 5, 6, 7] }),
  ];
  for (const item of report.collections) {
    if (item.detail !== "") lines.push(`${item.source}: ${item.detail}`);
    for (const { kind, partition, key, log } of item.examples) {
      lines.push(
        `${item.source} ${kind === "content" ? "differs" : kind} key ${key} in partition ${partition}; the log: ${log}`,
      );
    }
    if (item.changing > 0) {
      lines.push(`${item.source}: ${count(item.changing)} keys changed meanwhile and were left out`);
    }
  }
  lines.push(report.equal ? "Equal" : "Not equal");
  return lines;
}
