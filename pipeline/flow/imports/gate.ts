/**
 * What stands against an import of a collection, as far as it is known before a row is read: the one place where this is
 * decided, for the run that does it and for the plan that says what a run would do.
 */
import type { AgreedColumn, BulkImport, Collection, Segment, TargetName } from "../../model/mod.ts";
import { formatSize } from "../../units/mod.ts";
import type { RowSinkSetup } from "../dependencies.ts";
import { bytesOf, fileFault } from "./plan.ts";
import type { CollectionState } from "../state/mod.ts";

export interface ImportGate {
  readonly setup: Pick<RowSinkSetup, "onExisting"> & { readonly sink: { readonly bulk: BulkImport | undefined } };
  readonly collection: Collection;
  readonly target: TargetName;
  /** What the state holds of it; undefined: nothing was begun. */
  readonly own: CollectionState | undefined;
  /** Rows of it may be on the target already. */
  readonly resumed: boolean;
  /** Columns that the target does not take as they are: it would read them from the files as they are. */
  readonly agreed: readonly AgreedColumn[];
  /** Whether the target has the collection into which the rows go: only then can their fields be compared. */
  readonly made: boolean;
}

/** Why the whole collection is written by rows, as the rest of a sentence; undefined: nothing is against an import. */
export async function importObstacle(gate: ImportGate, signal: AbortSignal): Promise<string | undefined> {
  const { setup: { sink: { bulk }, onExisting }, collection, target, own, agreed, resumed, made } = gate;
  if (bulk === undefined) return "there is no storage of the target to import from";
  if (bulk.mode === "rows") return "the configuration asks for rows";
  if (own !== undefined && own.byRows !== "") return own.byRows;
  if (agreed.length > 0) return `field ${agreed[0]!.field} is not written as it is in the files`;
  if (onExisting === "merge") {
    return "on_existing: merge writes over rows that are there, an import would put its own beside them";
  }
  if (resumed && own !== undefined && own.importUnits.length === 0 && own.segmentsBegun.length > 0) {
    return "an earlier run began it by rows";
  }
  return await bulk.obstacle({ source: collection, target }, made, signal);
}

/** Where a backup does not say how large its files are: a row of a few hundred dimensions has some 500 bytes. */
const ROW_BYTES = 512n;

/**
 * Why `restore_by: auto` does not find an import of these segments worth its time; undefined if it does. Every import takes the
 * target seconds whatever its size, and each partition is an import of its own, `workers` of them side by side. Old backups do not
 * say how large their files are: of one partition they are imported, of more it counts how many rows each has.
 */
export function notWorthIt(bulk: BulkImport, segments: readonly Segment[], workers: number): string | undefined {
  if (bulk.mode !== "auto") return undefined;
  const known = bytesOfAll(segments);
  const partitions = new Set(segments.map(({ partitionId }) => partitionId)).size;
  if (known === 0n && partitions <= 1) return undefined;
  const bytes = known > 0n ? known : ROW_BYTES * segments.reduce((sum, { rows }) => sum + rows, 0n);
  const rounds = BigInt(Math.max(1, Math.ceil(partitions / workers)));
  const worth = bulk.worthBytes * rounds;
  if (bytes >= worth) return undefined;
  const imports = rounds === 1n
    ? ""
    : ` for ${partitions} partitions, each an import of its own, ${
      workers === 1 ? "one after the other" : `${workers} at once`
    }`;
  return `it has ${known > 0n ? "" : "about "}${formatSize(bytes)} in files, restore_by: auto imports from ${
    formatSize(worth)
  } on${imports} (import_from)`;
}

/** How the rows of a base would be brought, and why. */
export interface LoadChoice {
  readonly by: "rows" | "import";
  readonly reason: string;
  /** Whether the configuration lets the target import. */
  readonly asked: boolean;
  /** Segments that go by rows although the collection is imported. More may be found when they are read. */
  readonly byRows: readonly { readonly reason: string; readonly segments: number }[];
}

/** `segments`: those that are not on the target yet. */
export async function foreseeLoad(
  gate: ImportGate,
  segments: readonly Segment[],
  signal: AbortSignal,
): Promise<LoadChoice> {
  const { bulk } = gate.setup.sink;
  const asked = bulk !== undefined && bulk.mode !== "rows";
  const begun = gate.own !== undefined && gate.own.importUnits.length > 0;
  const obstacle = await importObstacle(gate, signal) ??
    (bulk === undefined || begun ? undefined : notWorthIt(bulk, segments, await workersOf(bulk, signal)));
  if (obstacle !== undefined) return { by: "rows", reason: obstacle, asked, byRows: [] };
  const counts = new Map<string, number>();
  for (const segment of segments) {
    const fault = fileFault(segment, gate.collection);
    if (fault !== undefined) counts.set(fault, (counts.get(fault) ?? 0) + 1);
  }
  const byRows = [...counts].map(([reason, segments]) => ({ reason, segments }));
  const faulty = byRows.reduce((sum, { segments }) => sum + segments, 0);
  if (faulty > 0 && faulty === segments.length) {
    return { by: "rows", reason: byRows.map(({ reason }) => reason).join("; "), asked, byRows };
  }
  const bytes = bytesOfAll(segments);
  const size = bytes === 0n ? "" : `, it has ${formatSize(bytes)} in files`;
  const reason = begun ? "an earlier run began it so" : `restore_by: ${bulk?.mode}${size}`;
  return { by: "import", reason, asked, byRows };
}

/** Asked only where it decides. */
export async function workersOf(bulk: BulkImport, signal: AbortSignal): Promise<number> {
  return bulk.mode === "auto" ? await bulk.workers(signal) : 1;
}

function bytesOfAll(segments: readonly Segment[]): bigint {
  return segments.reduce((sum, segment) => sum + bytesOf(segment), 0n);
}
