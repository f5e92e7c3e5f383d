/** Imported rows are queryable some time after their import is completed; a restore has not ended before. */
import { TidemarkError, toTidemarkError } from "../../errors.ts";
import { type Collection, partitionKey, qualifiedName, type RowSink, type TargetName } from "../../model/mod.ts";
import { timeToLive } from "../../transforms/mod.ts";
import { type OpenWait, SLOW_MS } from "../../waits.ts";
import type { BaseRows } from "../base/mod.ts";
import type { FlowDependencies } from "../dependencies.ts";
import { ImportTrouble } from "../imports/mod.ts";
import { pause } from "../../pause.ts";
import { plural } from "../../units/mod.ts";

const POLL_MS = 300;
/** A number that stays wrong for so long is wrong. */
const STILL_MS = 180_000;

/** Where rows may have expired, a number that stays too small for so long is all that is left of them. */
const EXPIRED_MS = 10_000;

/**
 * Resolves when the target counts the rows that it was given. A collection that is not to be loaded cannot be counted: there the
 * numbers of the imports themselves, which were compared, must do. `beganMs`: no row was imported earlier, unix ms; where the
 * rows' time to live has passed since, fewer may be left, and nobody waits for those that expired.
 * Throws {@link ImportTrouble} when the number stays another one.
 */
export async function untilQueryable(
  deps: Pick<FlowDependencies, "now" | "report" | "waits">,
  sink: RowSink,
  target: TargetName,
  collection: Collection,
  { byPartition }: BaseRows,
  beganMs: number,
  signal: AbortSignal,
): Promise<void> {
  const { load, partitions } = collection;
  const ttlMs = timeToLive(collection) ?? Infinity;
  if (load === undefined) return;
  // Partitions of a loaded collection can be released one by one; older releases name none of a collection.
  const named = partitions.filter(({ id }) => load.partitionIds.includes(id));
  const some = load.scope === "partitions" || (named.length > 0 && named.length < partitions.length);
  const counted = some && partitionKey(collection.schema) === undefined ? named : [undefined];
  for (const partition of counted) {
    const wanted = partition === undefined
      ? [...byPartition.values()].reduce((sum, rows) => sum + rows, 0n)
      : byPartition.get(partition.id) ?? 0n;
    let last = -1n;
    let since = deps.now();
    const began = since;
    using open = new DisposableStack();
    let waiting: OpenWait | undefined;
    for (;;) {
      const rows = await countOf(sink, target, partition?.name, signal);
      if (rows === wanted) break;
      if (rows !== last) since = deps.now();
      last = rows;
      const mayBeExpired = rows >= 0n && rows < wanted && deps.now() - beganMs >= ttlMs;
      if (mayBeExpired && deps.now() - since >= EXPIRED_MS) {
        deps.report.info(
          `${target.db}.${target.name}: ${rows} of ${wanted} rows ${
            plural(rows, "is", "are")
          } left, the others are past their time to live`,
        );
        break;
      }
      if (deps.now() - since > STILL_MS) throw wrongNumber(collection, target, rows, wanted);
      const waiter = { component: `sinks.${sink.name}`, collection: qualifiedName(collection), aside: true };
      const shown = rows < 0n
        ? "The target loads what it imported"
        : `The target shows ${rows} of ${wanted} imported ${plural(wanted, "row")}`;
      if (waiting !== undefined) waiting.say(shown);
      else if (deps.now() - began >= SLOW_MS) waiting = open.use(deps.waits.begin(waiter, shown));
      await pause(POLL_MS, signal);
    }
  }
}

/** -1 as long as it is not loaded. */
async function countOf(
  sink: RowSink,
  target: TargetName,
  partition: string | undefined,
  signal: AbortSignal,
): Promise<bigint> {
  try {
    return await sink.count(target, partition, signal);
  } catch (thrown) {
    const error = toTidemarkError(thrown);
    if (error.code === "refused" && !signal.aborted) return -1n;
    throw error;
  }
}

function wrongNumber(collection: Collection, { db, name }: TargetName, rows: bigint, wanted: bigint): ImportTrouble {
  const found = rows < 0n ? "is not loaded" : `has ${rows} ${plural(rows, "row")}`;
  return new ImportTrouble(
    new TidemarkError(
      "refused",
      `${db}.${name} ${found} ${STILL_MS / 1000} s after ${qualifiedName(collection)} was imported, expected ${wanted}`,
      {
        hint: "Somebody else may write there, or the target is short of memory. restore_by: rows does without imports.",
      },
    ),
  );
}
