/** `plan`: what a run would do; changes nothing. 11 where a run would stop. */
import { encryptedSinks, flowDependencies } from "../../config/mod.ts";
import { EXIT } from "../../pipeline/errors.ts";
import { type LoadChoice, noCrashPoints, type Plan, type PlannedCollection, planRun } from "../../pipeline/flow/mod.ts";
import { agreedText, type DdlStep, isoOfHybrid } from "../../pipeline/model/mod.ts";
import { formatSize, plural } from "../../pipeline/units/mod.ts";
import type { CommandContext } from "../context.ts";
import { flowReport } from "../flow_report.ts";
import { printResult } from "../print.ts";
import { count } from "../render_status.ts";
import { table } from "../table.ts";

export async function planCommand(context: CommandContext): Promise<number> {
  const { terminal, log } = context;
  const deps = await flowDependencies(context.components(), {
    report: flowReport(log),
    now: () => terminal.now().getTime(),
    crash: noCrashPoints,
  });
  const plan = await planRun(deps, context.stop);
  printResult(context, plan, () => [...renderPlan(plan), ...encryptedSinks(context.config())]);
  return plan.problems.length > 0 ? EXIT.connection : EXIT.ok;
}

/** The plan for people. Pure. */
export function renderPlan(plan: Plan): string[] {
  const lines = [
    `Source: Milvus ${
      plan.serverVersion || "of unknown version"
    } at revision ${plan.revision}; exact over all channels from ${isoOfHybrid(plan.exactFrom)}`,
  ];
  if (plan.collections.length === 0) {
    lines.push("Nothing is selected, and transforms.select.allow_empty lets a run begin");
  } else {
    lines.push(...table([
      ["collection", "does", "segments", "rows", "size", "channels"],
      ...plan.collections.map((
        item,
      ) => [
        item.source,
        ACTIONS[item.action],
        count(item.segments),
        count(item.rows),
        formatSize(item.bytes),
        count(item.channels.length),
      ]),
    ], { right: [2, 3, 4, 5] }));
  }
  for (const item of plan.collections) lines.push(...details(item));
  for (const { sink, steps } of plan.targets) {
    if (steps.length > 0) lines.push(`${sink}`, ...steps.map((step) => `    ${stepText(step)}`));
  }
  if (plan.notSelected.length > 0) lines.push(`Not selected: ${plan.notSelected.join(", ")}`);
  const { length } = plan.problems;
  if (length > 0) {
    lines.push(`A run would stop at ${length} ${plural(length, "problem")}:`);
    lines.push(...plan.problems.map((problem) => `  ! ${problem}`));
  }
  return lines;
}

const ACTIONS: Readonly<Record<PlannedCollection["action"], string>> = {
  base: "base, then tail",
  resume: "goes on with the base",
  tail: "tail",
};

function details(item: PlannedCollection): string[] {
  const lines = [`${item.source} (${item.id})`];
  for (const channel of item.channels) {
    const deletes = channel.deletesFrom === undefined ? "" : `, deletes from ${channel.deletesFrom}`;
    lines.push(`  channel ${channel.vchannel}: from ${channel.position} at ${isoOfHybrid(channel.ts)}${deletes}`);
  }
  const kinds = new Map<string, number>();
  for (const finding of item.findings) kinds.set(finding.kind, (kinds.get(finding.kind) ?? 0) + 1);
  for (const [kind, number] of kinds) lines.push(`  ${number} ${FINDINGS[kind] ?? kind}`);
  for (const one of item.overLong) {
    lines.push(
      `  ! ${one.field}: texts of up to ${count(one.longest)} bytes in ${count(one.files)} ${
        plural(one.files, "file")
      }, max_length is ${
        count(one.limit)
      }: a target with the same limit refuses such rows, and transforms.bad_rows says what becomes of them`,
    );
  }
  for (const sink of item.sinks) {
    const there = sink.exists
      ? `exists with ${count(sink.rowsThere)} ${plural(sink.rowsThere, "row")}`
      : "does not exist yet";
    lines.push(`  ${sink.sink}: ${sink.target.db}.${sink.target.name} ${there}`);
    lines.push(...sink.agreed.map((one) => `    ! ${agreedText(one)}`));
    lines.push(...sink.steps.map((step) => `    ${stepText(step)}`));
    if (sink.load?.asked) lines.push(...loading(sink.load));
  }
  return lines;
}

/** With a mark where somebody else's thing is in the way, or is taken, and where the target cannot do it. */
function stepText({ sentence, foreign, impossible, doubts = [] }: DdlStep): string {
  if (doubts.length > 0) return `! ${sentence}: it may be refused: ${doubts.join("; ")}`;
  if (impossible !== undefined) return `! ${sentence}: ${impossible}`;
  return foreign === undefined ? sentence : `! ${sentence}: ${foreign.words}`;
}

function loading({ by, reason, byRows }: LoadChoice): string[] {
  if (by === "rows") return [`    written by rows, not imported: ${reason}`];
  return [
    `    imported by the target itself: ${reason}`,
    ...byRows.map(({ reason, segments }) =>
      `    ${count(segments)} ${plural(segments, "segment")} of it written by rows: ${reason}`
    ),
  ];
}

const FINDINGS: Readonly<Record<string, string>> = {
  missing: "files that metadata names are missing",
  wrong_size: "files have another size than metadata says",
  unreadable: "segments cannot be read: their collection is held",
  dirty_insert: "insert files that metadata does not name: never read",
  unnamed_delta: "delta files that metadata does not name: read for their deletes",
};
