/** Which segments of a base the target may import, and in which portions. */
import { keysOfColumn } from "../../columns/mod.ts";
import { type Collection, type Cut, partitionKey, primaryKey, type Segment } from "../../model/mod.ts";
import { type DeadSegment, divideSegment, type Division, homePartition, type KeyedRows } from "../../transforms/mod.ts";
import type { FlowDependencies } from "../dependencies.ts";

/** What is dead in a segment, and how many rows it really has. */
export interface FoundSegment extends DeadSegment {
  readonly rows: number;
}

export interface DividedSegment extends Division {
  readonly segment: Segment;
}

/** Segments that are taken by one import. */
export interface Portion {
  readonly partitionId: bigint;
  readonly endMs: bigint | undefined;
  readonly segments: readonly DividedSegment[];
  readonly bytes: bigint;
}

/**
 * Deletes of a segment; they are in memory at once, here and in the target. A multiple of what a segment's delta logs may hold
 * before 2.3.5 compacts it.
 */
const MAX_DELETES = 500_000;
/** 2.3.5 gives up an import after a quarter of an hour; this is some minutes even on a slow disk. */
export const PORTION_BYTES = 1n << 30n;

export interface ImportPlan {
  readonly divided: readonly DividedSegment[];
  /** Why the others are written by rows -> how many. */
  readonly byRows: ReadonlyMap<string, number>;
}

export async function planImport(
  deps: Pick<FlowDependencies, "binlogs">,
  collection: Collection,
  cuts: readonly Cut[],
  segments: readonly Segment[],
  found: ReadonlyMap<bigint, FoundSegment>,
  signal: AbortSignal,
): Promise<ImportPlan> {
  const divided: DividedSegment[] = [];
  const byRows = new Map<string, number>();
  const leave = (reason: string) => byRows.set(reason, (byRows.get(reason) ?? 0) + 1);
  for (const segment of segments) {
    const dead = found.get(segment.id);
    // Without a row there is nothing to import and nothing to write.
    if (dead === undefined || dead.rows === dead.dead.length) continue;
    const fault = fileFault(segment, collection);
    if (fault !== undefined) {
      leave(fault);
      continue;
    }
    if (await hasMisplaced(deps, collection, segment, dead, signal)) {
      leave("it has rows in partitions where a query by their partition key does not look");
      continue;
    }
    const division = await divideSegment({
      cutTs: cuts.find(({ vchannel }) => vchannel === segment.vchannel)!.ts,
      partitionId: segment.partitionId,
      rows: dead.rows,
      dead,
      read: () => keyedRows(deps, collection, segment, signal),
      maxDeletes: MAX_DELETES,
    });
    if (typeof division === "string") leave(division);
    else if (division.imported <= division.rest.length) leave("most of its rows cannot be told apart from dead ones");
    else divided.push({ segment, ...division });
  }
  return { divided, byRows };
}

/**
 * Whether a living row lies in another partition than its partition key's: Milvus 2.3 puts rows that its clients upsert there.
 * An import would leave it there; written by rows it comes where it belongs.
 */
async function hasMisplaced(
  { binlogs }: Pick<FlowDependencies, "binlogs">,
  collection: Collection,
  segment: Segment,
  { dead }: DeadSegment,
  signal: AbortSignal,
): Promise<boolean> {
  const field = partitionKey(collection.schema);
  const home = field === undefined ? undefined : homePartition(collection);
  if (field === undefined || home === undefined) return false;
  const gone = new Set(dead);
  for await (const { firstRow, columns } of binlogs.rows(segment, collection.schema, [field.fieldID], signal)) {
    const { values } = keysOfColumn(columns.find(({ fieldId }) => fieldId === field.fieldID)!);
    for (let row = 0; row < values.length; row++) {
      if (home(values[row]!) !== segment.partitionId && !gone.has(firstRow + row)) return true;
    }
  }
  return false;
}

async function* keyedRows(
  { binlogs }: Pick<FlowDependencies, "binlogs">,
  { schema }: Collection,
  segment: Segment,
  signal: AbortSignal,
): AsyncIterable<KeyedRows> {
  const key = primaryKey(schema)!.fieldID;
  for await (const { firstRow, columns, timestamps } of binlogs.rows(segment, schema, [1n, key], signal)) {
    const column = columns.find(({ fieldId }) => fieldId === key)!;
    yield { firstRow, keys: keysOfColumn(column), timestamps: timestamps! };
  }
}

/**
 * The import matches the n-th file of every field in the order of their names as text, wants one folder for every field of the
 * target, and none besides.
 */
export function fileFault(segment: Segment, { schema }: Collection): string | undefined {
  if (segment.manifestPath !== "") return "a manifest names its files (storage V3)";
  if (segment.storageVersion > 1n) return `its files are of storage version ${segment.storageVersion}`;
  const wanted = new Set([0n, 1n, ...schema.fields.map(({ fieldID }) => fieldID)]);
  const files = new Map(segment.binlogs.map((field) => [field.fieldId, field.files]));
  for (const id of wanted) if ((files.get(id) ?? []).length === 0) return `it has no files of field ${id}`;
  for (const id of files.keys()) {
    if (!wanted.has(id)) return `it has files of a field ${id} that the schema does not know`;
  }
  const count = files.get(1n)!.length;
  for (const [id, list] of files) {
    if (list.length !== count) return `its field ${id} has ${list.length} files, others have ${count}`;
    const names = list.map(({ logId }) => String(logId));
    if (names.some((name, i) => i > 0 && names[i - 1]! >= name)) return "its files are not in the order of their names";
  }
  return undefined;
}

export function bytesOf(segment: Segment): bigint {
  return segment.binlogs.reduce((sum, { files }) => files.reduce((sum, { size }) => sum + size, sum), 0n);
}

/** Segments of one partition and one end together, up to `limit` bytes. */
export function portionsOf(divided: readonly DividedSegment[], limit = PORTION_BYTES): Portion[] {
  const groups = Map.groupBy(divided, ({ segment, endMs }) => `${segment.partitionId} ${endMs ?? ""}`);
  return [...groups.values()].flatMap((group) => {
    const portions: { segments: DividedSegment[]; bytes: bigint }[] = [];
    for (const item of group) {
      const bytes = bytesOf(item.segment);
      const last = portions.at(-1);
      if (last === undefined || last.bytes + bytes > limit) portions.push({ segments: [item], bytes });
      else {
        last.segments.push(item);
        last.bytes += bytes;
      }
    }
    const { segment: { partitionId }, endMs } = group[0]!;
    return portions.map((portion) => ({ partitionId, endMs, ...portion }));
  });
}
