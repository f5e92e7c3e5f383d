/** The part of a base that the target takes by its own bulk import. */
import { TidemarkError } from "../../errors.ts";
import { hybridFromMs, qualifiedName, type Segment } from "../../model/mod.ts";
import type { FlowDependencies } from "../dependencies.ts";
import { prepareUnits, removeFolder } from "./files.ts";
import { notWorthIt, workersOf } from "./gate.ts";
import type { ImportJob, ImportProgress } from "./job.ts";
import { type FoundSegment, type ImportPlan, planImport, portionsOf } from "./plan.ts";
import { runImports } from "./tasks.ts";
import { ImportTrouble } from "./trouble.ts";
import type { ImportUnit } from "../state/mod.ts";
import { plural } from "../../units/mod.ts";

/**
 * Imports what can be imported of `segments`. Returns what is left of each of the imported ones: the rows, by index, that must
 * be written one by one. Throws {@link ImportTrouble} where the collection must be begun anew.
 */
export async function importSegments(
  deps: FlowDependencies,
  job: ImportJob,
  segments: readonly Segment[],
  found: ReadonlyMap<bigint, FoundSegment>,
  progress: ImportProgress,
  signal: AbortSignal,
): Promise<Map<bigint, Uint32Array>> {
  const { collection, own, bulk } = job;
  const none = new Map<bigint, Uint32Array>();
  if (bulk === undefined) return none;
  const name = qualifiedName(collection);
  const begun = own.importUnits.length > 0;
  if (!begun && notWorthIt(bulk, segments, await workersOf(bulk, signal)) !== undefined) return none;
  // What has no partition there is not imported into it.
  const placed = segments.filter(({ partitionId }) => {
    const partition = collection.partitions.find(({ id }) => id === partitionId);
    return partition === undefined || !own.partitionsRefused.has(partition.name);
  });
  const plan = await planImport(deps, collection, job.cuts, placed, found, signal);
  sayByRows(deps, name, plan, segments.length);
  if (begun) checkSame(own.importUnits, plan, new Set(segments.map(({ id }) => id)), name);
  else await prepare(deps, job, plan, progress, signal);
  const units = own.importUnits;
  if (units.length === 0) return none;

  const percents = new Map<ImportUnit, number>();
  const show = () => {
    const total = units.reduce((sum, { rows }) => sum + rows, 0n);
    const done = units.filter(({ phase }) => phase === "completed");
    const under = units.reduce(
      (sum, unit) => unit.phase === "completed" ? sum : sum + unit.rows * BigInt(percents.get(unit) ?? 0) / 100n,
      0n,
    );
    const taken = done.reduce((sum, { rows }) => sum + rows, under);
    const percent = total === 0n ? 100 : Number(taken * 100n / total);
    progress.importing({ done: done.length, total: units.length, percent }, under);
  };
  const rows = units.reduce((sum, unit) => sum + unit.rows, 0n);
  const count = units.reduce((sum, unit) => sum + unit.segments.length, 0);
  deps.report.info(
    `${name}: the target imports ${rows} ${plural(rows, "row")} of ${count} ${
      plural(count, "segment")
    }, in ${units.length} ${plural(units.length, "portion")}`,
  );
  const began = deps.now();
  show();
  await runImports(
    {
      bulk,
      target: own.target,
      name,
      save: progress.save,
      crash: deps.crash,
      moved: (unit, percent) => {
        percents.set(unit, percent);
        show();
      },
      completed: (unit) => {
        own.rows += unit.rows;
        progress.written(Number(unit.rows), Number(unit.bytes));
        show();
      },
    },
    units,
    signal,
  );
  show();
  deps.report.info(`${name}: ${rows} ${plural(rows, "row")} imported in ${((deps.now() - began) / 1000).toFixed(1)} s`);
  await removeFolder(bulk, own.importFolder, signal);
  own.importFolder = "";
  await progress.save();
  deps.crash("imports_completed");
  return new Map(plan.divided.map(({ segment, rest }) => [segment.id, rest]));
}

async function prepare(
  deps: FlowDependencies,
  job: ImportJob,
  plan: ImportPlan,
  progress: ImportProgress,
  signal: AbortSignal,
): Promise<void> {
  const { collection, own } = job;
  const bulk = job.bulk!;
  // Of a run that was killed before it had everything in place.
  await removeFolder(bulk, own.importFolder, signal);
  own.importFolder = "";
  const portions = portionsOf(plan.divided);
  if (portions.length === 0) return;
  own.importFolder = `${bulk.scratch}${crypto.randomUUID()}/`;
  await progress.save();
  const options = {
    binlogs: deps.binlogs,
    bulk,
    collection,
    folder: own.importFolder,
    writtenAt: hybridFromMs(deps.now()),
  };
  const units: ImportUnit[] = [];
  for (const portion of portions) {
    signal.throwIfAborted();
    units.push(...await prepareUnits(options, portion, units.length + 1, signal));
  }
  deps.crash("import_prepared");
  own.importUnits = units;
  await progress.save();
}

function sayByRows(deps: FlowDependencies, name: string, { byRows }: ImportPlan, segments: number): void {
  for (const [reason, count] of byRows) {
    deps.report.warn(
      `by rows ${name} ${reason}`,
      `${name}: ${count} of ${segments} ${plural(segments, "segment")} ${
        plural(count, "is", "are")
      } written by rows, not imported: ${reason}`,
    );
  }
}

/** An import that an earlier run began is gone on with only if it would be begun just so again. */
function checkSame(
  units: readonly ImportUnit[],
  { divided }: ImportPlan,
  todo: ReadonlySet<bigint>,
  name: string,
): void {
  const planned = new Map(divided.map(({ segment, imported }) => [segment.id, BigInt(imported)]));
  const same = units.every(({ segments, rows }) => {
    // Segments whose rest is written already are not planned any more.
    if (segments.some((id) => !todo.has(id))) return true;
    return segments.every((id) => planned.has(id)) && segments.reduce((sum, id) => sum + planned.get(id)!, 0n) === rows;
  });
  const known = new Set(units.flatMap(({ segments }) => segments));
  if (same && divided.every(({ segment }) => known.has(segment.id))) return;
  throw new ImportTrouble(
    new TidemarkError("unexpected", `The imports of ${name} that an earlier run began are not those of this one`),
    true,
  );
}
