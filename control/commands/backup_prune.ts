/** `backup prune`. */
import { EXIT, TidemarkError } from "../../pipeline/errors.ts";
import { formatSize, parseDuration } from "../../pipeline/units/mod.ts";
import {
  applyPrune,
  listBackups,
  planPrune,
  type PruneDecision,
  type RetentionRules,
} from "../../sources/backup/mod.ts";
import { type PlaceOptions, withPlaces } from "../backup_places.ts";
import type { CommandContext } from "../context.ts";
import { crashPointsFrom } from "../crash_hook.ts";
import { printResult } from "../print.ts";
import { parseCount } from "../share.ts";
import { table } from "../table.ts";

/** As commander gives them: text. */
export interface PruneOptions {
  readonly keepLast?: string;
  readonly keepWithin?: string;
  readonly keepDaily?: string;
  readonly keepWeekly?: string;
  readonly keepMonthly?: string;
  readonly timeZone?: string;
  readonly dryRun?: boolean;
  readonly partial?: boolean;
}

/** A half-written backup that was written to within this time may have a run behind it. */
const IDLE_MS = 24 * 3_600_000;

/** Rules of the command line replace those of the sink's `keep`; without any rule nothing is removed but half-written ones on request. */
export async function backupPruneCommand(
  context: CommandContext,
  options: PlaceOptions & PruneOptions,
): Promise<number> {
  const given = rulesOf(options);
  const crash = crashPointsFrom(context.terminal.env("TIDEMARK_CRASH_AT"));
  return await withPlaces(context, options, async (places) => {
    const done: (PruneDecision & { readonly place: string; readonly removed: boolean })[] = [];
    for (const place of places) {
      const rules = given ?? place.sink?.keep;
      if (rules === undefined) {
        throw new TidemarkError("usage", "No rule says what to keep", {
          hint:
            "Give --keep-last, --keep-within, --keep-daily, --keep-weekly or --keep-monthly, or --config with a sink that has `keep`.",
        });
      }
      const plan = planPrune(await listBackups(place.store, context.stop), rules, {
        nowMs: context.terminal.now().getTime(),
        halfWrittenOlderThanMs: options.partial === true ? IDLE_MS : undefined,
        pipeline: place.pipeline,
      });
      const removed = options.dryRun === true ? [] : await applyPrune(place.store, plan, context.stop, crash);
      for (const item of plan) done.push({ ...item, place: place.label, removed: removed.includes(item.name) });
    }
    printResult(context, done, () => render(done, options.dryRun === true));
    return EXIT.ok;
  });
}

function rulesOf(options: PruneOptions): RetentionRules | undefined {
  const within = options.keepWithin === undefined ? undefined : parseDuration(options.keepWithin);
  if (options.keepWithin !== undefined && (within === undefined || within === 0)) {
    throw new TidemarkError("usage", `--keep-within ${options.keepWithin} is not a duration`, {
      hint: "Give one such as 7d or 36h.",
    });
  }
  const rules: RetentionRules = {
    last: parseCount(options.keepLast, "--keep-last"),
    within,
    daily: parseCount(options.keepDaily, "--keep-daily"),
    weekly: parseCount(options.keepWeekly, "--keep-weekly"),
    monthly: parseCount(options.keepMonthly, "--keep-monthly"),
    time_zone: options.timeZone,
  };
  return Object.entries(rules).some(([key, value]) => key !== "time_zone" && value !== undefined) ? rules : undefined;
}

function render(done: readonly (PruneDecision & { readonly removed: boolean })[], dryRun: boolean): string[] {
  if (done.length === 0) return ["There are no backups"];
  const word = (item: { action: PruneDecision["action"]; removed: boolean }) =>
    item.action === "keep" ? "keep" : item.removed ? "removed" : dryRun ? "would go" : "not removed";
  const gone = done.filter((item) => item.action === "remove");
  const bytes = gone.reduce((sum, item) => sum + item.bytes, 0n);
  return [
    ...table(done.map((item) => [word(item), item.name, formatSize(item.bytes), item.reasons.join("; ")]), {
      right: [2],
    }),
    gone.length === 0
      ? "Nothing to remove"
      : `${gone.length} of ${done.length} ${dryRun ? "would go" : "removed"}, ${formatSize(bytes)}`,
  ];
}
