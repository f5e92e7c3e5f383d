/** `verify`: source against target. */
import { flowDependencies } from "../../config/mod.ts";
import { EXIT, TidemarkError } from "../../pipeline/errors.ts";
import { type CollectionVerdict, noCrashPoints, type VerifyReport, verifyRun } from "../../pipeline/flow/mod.ts";
import { agreedText, isoOfHybrid } from "../../pipeline/model/mod.ts";
import { parseDuration, plural } from "../../pipeline/units/mod.ts";
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
  /** How many values of a partition key are asked for one by one, as given: a number or `all`. */
  readonly keyValues: string;
  /** Rewrite what differs. */
  readonly repair: boolean;
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
  if (options.keyValues !== "all" && !/^[1-9]\d{0,8}$/.test(options.keyValues)) {
    throw new TidemarkError("usage", `--key-values ${options.keyValues} is not a number of values`, {
      hint: "Give a number such as 1000, or all.",
    });
  }
  if (options.repair && options.countsOnly) {
    throw new TidemarkError("usage", "--counts finds no row that could be repaired", {
      hint: "Leave --counts out: a repair compares keys and content.",
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
    keyValues: options.keyValues === "all" ? Infinity : Number(options.keyValues),
    repair: options.repair,
    onProgress: (message) => log.info(message),
  }, context.stop);
  printResult(context, report, () => renderVerify(report));
  if (report.collections.some((item) => item.verdict === "different")) return EXIT.damage;
  return report.equal ? EXIT.ok : EXIT.partial;
}

/** What is no difference, and yet to be known. */
function remarks(item: CollectionVerdict): string[] {
  const { source, keyValues, repaired } = item;
  const lines: string[] = item.agreed.map((one) => `${source}: compared as agreed: ${agreedText(one)}`);
  if (repaired !== null) {
    const { missing, content, unfindable, extra, left } = repaired;
    lines.push(
      `${source}: repaired ${count(missing)} missing, ${count(content)} of other content, ${
        count(unfindable)
      } not found by key; deleted ${count(extra)} extra`,
    );
    if (left > 0) {
      lines.push(
        `${source}: left ${count(left)} extra ${plural(left, "row")}: with on_existing: merge ${
          plural(left, "it", "they")
        } may be somebody else's`,
      );
    }
  }
  if (keyValues !== null) {
    const values = count(keyValues.checked);
    lines.push(
      keyValues.all
        ? `${source}: asked for by all ${values} values of its partition key`
        : `${source}: asked for by a sample of ${values} values of its partition key (--key-values all asks for every one)`,
    );
  }
  if (item.unfindableAtSource > 0) {
    lines.push(
      `${source}: the source itself does not find ${
        count(item.unfindableAtSource)
      } of its rows by their partition key (Milvus 2.3 puts rows that clients upsert into wrong partitions); no fault of the copy`,
    );
  }
  if (item.expired > 0) {
    lines.push(
      `${source}: ${count(item.expired)} ${
        plural(item.expired, "row is past its", "rows are past their")
      } time to live on one side or both, left out`,
    );
  }
  if (item.changing > 0) {
    lines.push(
      `${source}: ${count(item.changing)} ${
        plural(item.changing, "key changed meanwhile and was", "keys changed meanwhile and were")
      } left out`,
    );
  }
  return lines;
}

function conclusion({ equal, collections }: VerifyReport): string {
  if (equal) return "Equal";
  const differs = collections.filter(({ verdict }) => verdict === "different").length;
  if (differs > 0) return "Not equal";
  const compared = collections.filter(({ expectedRows }) => expectedRows !== null).length;
  const rows = collections.reduce((sum, { heldRows }) => sum + heldRows, 0);
  const parts = [
    ...rows === 0 ? [] : [`${count(rows)} held ${plural(rows, "row")}`],
    ...compared === collections.length ? [] : [
      `${collections.length - compared} of ${collections.length} ${
        plural(collections.length, "collection")
      }, not compared`,
    ],
  ];
  return compared === 0 ? "Nothing was compared" : `Equal but for ${parts.join(" and ")}`;
}

/** Pure. */
export function renderVerify(report: VerifyReport): string[] {
  const lines = [
    `Compared at ${isoOfHybrid(report.ts)} (${report.ts})`,
    ...table([
      ["collection", "on", "verdict", "expected", "target", "missing", "extra", "content", "by key"],
      ...report.collections.map((item) => [
        item.source === item.target ? item.source : `${item.source} -> ${item.target}`,
        item.sink,
        item.verdict.replace("_", " "),
        // What was not compared has no numbers.
        ...[item.expectedRows, item.targetRows, item.missing, item.extra, item.content].map((number) =>
          number === null || item.expectedRows === null ? "-" : count(number)
        ),
        item.keyValues === null ? "" : count(item.unfindable),
      ]),
    ], { right: [3, 4, 5, 6, 7, 8] }),
  ];
  for (const item of report.collections) {
    if (item.detail !== "") lines.push(`${item.source}: ${item.detail}`);
    for (const { kind, partition, key, log } of item.examples) {
      if (kind === "unfindable") lines.push(`${item.source} does not find key ${key} by its partition key: ${log}`);
      else {
        lines.push(
          `${item.source} ${
            kind === "content" ? "differs" : kind
          } key ${key} in partition ${partition}; the log: ${log}`,
        );
      }
    }
    lines.push(...remarks(item));
  }
  lines.push(conclusion(report));
  return lines;
}
