/** `replay`: dead letters are written to their targets again. */
import { flowDependencies } from "../../config/mod.ts";
import { EXIT, TidemarkError } from "../../pipeline/errors.ts";
import { noCrashPoints, replayDeadLetters, type ReplayReport } from "../../pipeline/flow/mod.ts";
import type { CommandContext } from "../context.ts";
import { flowReport } from "../flow_report.ts";
import { printResult } from "../print.ts";
import { count } from "../render_status.ts";
import { plural } from "../../pipeline/units/mod.ts";

export interface ReplayOptions {
  /** One file, by its name or path; undefined: all. */
  readonly file: string | undefined;
}

/** Keys that are named. */
const NAMES = 10;

/** 3 where the target still refuses one. */
export async function replayCommand(context: CommandContext, { file }: ReplayOptions): Promise<number> {
  const { terminal, log } = context;
  const components = context.components();
  const letters = await components.deadLetters();
  const all = await letters.files();
  const name = file?.split("/").at(-1);
  if (name !== undefined && !all.includes(name)) {
    throw new TidemarkError("not_found", `There is no file of dead letters ${name} in ${letters.location}`, {
      hint: all.length === 0 ? "There are none at all." : `There are ${all.join(", ")}.`,
    });
  }
  const deps = await flowDependencies(components, {
    report: flowReport(log),
    now: () => terminal.now().getTime(),
    crash: noCrashPoints,
  });
  const report = await replayDeadLetters(deps, letters, name === undefined ? all : [name], context.stop);
  printResult(context, report, () => renderReplay(report));
  return report.refused.length > 0 ? EXIT.partial : EXIT.ok;
}

/** Pure. */
export function renderReplay({ letters, written, refused, superseded }: ReplayReport): string[] {
  return [
    `${count(letters)} ${plural(letters, "dead letter")}: ${count(written)} written, ${
      count(refused.length)
    } still refused, ` +
    `${count(superseded)} passed over because ${
      plural(superseded, "its key was", "their keys were")
    } written or deleted since`,
    ...refused.slice(0, NAMES).map(({ collection, key, reason }) =>
      `refused  ${collection} key ${keyOf(key)}: ${reason}`
    ),
    ...refused.length > NAMES ? [`and ${count(refused.length - NAMES)} more`] : [],
  ];
}

function keyOf(key: bigint | string): string {
  return typeof key === "string" && key.length > 48 ? `${key.slice(0, 48)}…` : `${key}`;
}
