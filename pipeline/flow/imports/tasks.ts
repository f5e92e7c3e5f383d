/** Imports under way on the target: asked for once each, found again after a crash, followed to their end. */
import { TidemarkError, toTidemarkError } from "../../errors.ts";
import type { BulkImport, ImportRequest, ImportState, TargetName } from "../../model/mod.ts";
import type { CrashPoints, ImportUnit } from "../state/mod.ts";
import { ImportTrouble } from "./trouble.ts";
import { pause } from "../../pause.ts";
import { plural } from "../../units/mod.ts";

export interface ImportTasksOptions {
  readonly bulk: BulkImport;
  readonly target: TargetName;
  /** For messages: `database.collection` of the source. */
  readonly name: string;
  readonly save: () => Promise<void>;
  readonly crash: CrashPoints;
  /** Of one unit, whenever the target was asked. */
  readonly moved: (unit: ImportUnit, percent: number) => void;
  readonly completed: (unit: ImportUnit) => void;
}

const POLL_MS = 300;
/**
 * Of one collection, beyond one a worker of the target: it keeps them busy. More, of four collections at once, would only age in
 * its queue, and 2.3.5 expires what is older than a quarter of an hour.
 */
const QUEUED = 1;
/** A target with more workers than this has other collections to import beside. */
const AT_ONCE = 32;
/** How long a collection that is given up waits for its imports to end: dropped under them, they keep their data node. */
const END_MS = 120_000;

function requestOf(target: TargetName, { partition, inserts, deletes, endMs }: ImportUnit): ImportRequest {
  return { target, partition, inserts, deletes, endMs: endMs === 0n ? undefined : endMs };
}

/**
 * Resolves when every unit's rows are on the target. Throws {@link ImportTrouble}, stale where the fault is of an import that an
 * earlier run asked for: that is no reason not to try it once more.
 */
export async function runImports(
  options: ImportTasksOptions,
  units: readonly ImportUnit[],
  signal: AbortSignal,
): Promise<void> {
  const todo = units.filter(({ phase }) => phase !== "completed");
  let next = 0;
  let failed = false;
  const worker = async () => {
    while (next < todo.length && !failed) {
      const unit = todo[next++]!;
      try {
        await runImport(options, unit, signal);
      } catch (error) {
        failed = true;
        throw error;
      }
    }
  };
  if (todo.length === 0) return;
  const atOnce = todo.length === 1 ? 1 : Math.min(AT_ONCE, await options.bulk.workers(signal) + QUEUED, todo.length);
  const results = await Promise.allSettled(Array.from({ length: atOnce }, worker));
  for (const result of results) if (result.status === "rejected") throw result.reason;
}

async function runImport(options: ImportTasksOptions, unit: ImportUnit, signal: AbortSignal): Promise<void> {
  const { bulk, save, crash, name } = options;
  const old = unit.phase === "started";
  if (!old) await ask(options, unit, signal);
  const state = await ended(options, unit, signal);
  if (state.phase === "failed") {
    throw new ImportTrouble(
      new TidemarkError("refused", `The target failed to import ${name} (import ${unit.task}): ${state.reason}`, {
        hint: "restore_by: auto writes the rows one by one then.",
      }),
      old,
    );
  }
  if (state.rows !== unit.rows) {
    throw new ImportTrouble(
      new TidemarkError(
        "refused",
        `The target took ${state.rows} ${
          plural(state.rows, "row")
        } from ${unit.inserts} for ${name} (import ${unit.task}), expected ${unit.rows}`,
        {
          hint: state.rows === 0n
            ? `It found no files there: \`storage\` of the sink must be the bucket or folder that the target itself reads; it is ${bulk.store.location}.`
            : "restore_by: auto, or rows, brings them one by one.",
        },
      ),
      old,
    );
  }
  unit.phase = "completed";
  options.completed(unit);
  await save();
  crash("import_completed");
}

/** Asks for the import, unless an earlier run has done it and died before it could note the number. */
async function ask(options: ImportTasksOptions, unit: ImportUnit, signal: AbortSignal): Promise<void> {
  const { bulk, target, save, crash } = options;
  const request = requestOf(target, unit);
  let task = unit.phase === "asked" ? await bulk.find(request, signal) : undefined;
  unit.phase = "asked";
  await save();
  while (task === undefined) {
    try {
      task = await bulk.start(request, signal);
    } catch (thrown) {
      const error = toTidemarkError(thrown);
      if (signal.aborted) throw error;
      if (error.code !== "unreachable" && error.code !== "throttled") throw new ImportTrouble(error);
      // The request may have arrived all the same.
      await pause(POLL_MS * 5, signal);
      task = await bulk.find(request, signal);
    }
  }
  crash("import_asked");
  unit.phase = "started";
  unit.task = task;
  await save();
  crash("import_started");
}

async function ended({ bulk, moved }: ImportTasksOptions, unit: ImportUnit, signal: AbortSignal): Promise<ImportState> {
  for (;;) {
    const state = await bulk.state(unit.task, signal);
    moved(unit, state.percent);
    if (state.phase === "completed" || state.phase === "failed") return state;
    await pause(POLL_MS, signal);
  }
}

/** Waits, for a limited time, until nothing of these is under way any more. */
export async function settleImports(
  bulk: BulkImport,
  target: TargetName,
  units: readonly ImportUnit[],
  now: () => number,
  signal: AbortSignal,
): Promise<void> {
  const end = now() + END_MS;
  for (const unit of units) {
    const task = unit.phase === "started"
      ? unit.task
      : unit.phase === "asked"
      ? await bulk.find(requestOf(target, unit), signal)
      : undefined;
    while (task !== undefined && now() < end) {
      const { phase } = await bulk.state(task, signal);
      if (phase === "completed" || phase === "failed") break;
      await pause(POLL_MS, signal);
    }
  }
}
