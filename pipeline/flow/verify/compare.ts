/** One collection of one target against the state of the log, row by row and by the values of its partition key. */
import { keysOf, rowDigests } from "../../columns/mod.ts";
import {
  type Collection,
  type HybridTs,
  msOfHybrid,
  partitionKey,
  primaryKey,
  type RowSink,
  type Segment,
  type Snapshot,
  type TargetName,
} from "../../model/mod.ts";
import { timeToLive } from "../../transforms/mod.ts";
import type { FlowDependencies } from "../dependencies.ts";
import type { SinkState } from "../state/mod.ts";
import { isDefaulted, type Views } from "./view.ts";
import { KeySample, notFoundByKey } from "./by_key.ts";
import { ExpectedRows } from "./expected.ts";
import { expiredAtSource } from "./expired.ts";
import { byName, nameOf, partOf, partsOfName, replay, type Tail } from "./log.ts";
import type { Touched } from "./touched.ts";

export interface Difference {
  /** `missing` on the target, `extra` there, of other `content`, or there and `unfindable` by its partition key. */
  readonly kind: "missing" | "extra" | "content" | "unfindable";
  readonly partition: string;
  readonly key: string;
  /** What the log says of the key. */
  readonly log: string;
}

/** A difference with what is needed to mend it. */
export interface FoundDifference extends Difference {
  /** As `nameOf` makes it. */
  readonly name: string;
  /** Only that a null became a default. */
  readonly defaulted: boolean;
}

export interface Comparison {
  readonly deps: FlowDependencies;
  readonly snapshot: Snapshot;
  readonly collection: Collection;
  readonly segments: readonly Segment[];
  readonly sink: RowSink;
  readonly target: TargetName;
  readonly tails: ReadonlyMap<string, Tail>;
  /** How the rows must look on the sink: its place among the views. */
  readonly seen: { readonly views: Views; readonly at: number };
  readonly own: SinkState | undefined;
  /** Asked after the target was read, and only where it differs. */
  readonly touched: (signal: AbortSignal) => Promise<Touched>;
  /** The compared moment. */
  readonly ts: HybridTs;
  readonly countsOnly: boolean;
  /** Values of the partition key that are asked for one by one; more are a sample. */
  readonly keyValues: number;
}

export interface Compared {
  /** Only the numbers of rows were compared. */
  readonly countsOnly: boolean;
  expected: bigint;
  target: bigint;
  /** Rows that the target refused: what the run remembers of them is no difference. */
  held: number;
  /** Keys in motion. */
  changing: number;
  /** Rows past their time to live, on either side. */
  expired: number;
  /** Rows of the source that a query by their partition key does not find there. */
  unfindableAtSource: number;
  /** Values of the partition key that were asked for; undefined where there is none. */
  keyValues: { checked: number; all: boolean } | undefined;
  readonly differences: FoundDifference[];
  /** Why nobody can say whether the sides are equal; undefined: the differences tell. */
  undecided: string | undefined;
}

/** A target's clock may be ahead of ours by as much. */
const CLOCK_SLACK_MS = 5000;
/** Digests of this many rows are held at once. */
const ROWS_PER_PART = 2_000_000;

/** With a time to live the numbers of rows say nothing, and `countsOnly` has no effect. */
export async function compareCollection(comparison: Comparison, signal: AbortSignal): Promise<Compared> {
  const { deps, snapshot, collection, segments, sink, target, tails, ts } = comparison;
  const ttlMs = timeToLive(collection);
  const { views, at } = comparison.seen;
  const view = views.of(at);
  const countsOnly = comparison.countsOnly && ttlMs === undefined;
  const rows = segments.reduce((sum, segment) => sum + Number(segment.rows), 0);
  const parts = countsOnly ? 1 : Math.max(1, Math.ceil(rows / ROWS_PER_PART));
  const result: Compared = {
    countsOnly,
    expected: 0n,
    target: 0n,
    held: 0,
    changing: 0,
    expired: 0,
    unfindableAtSource: 0,
    keyValues: undefined,
    differences: [],
    undecided: undefined,
  };
  for (let part = 0; part < parts; part++) {
    const wants = (key: bigint | string) => partOf(key, parts) === part;
    const expected = new ExpectedRows(wants, ttlMs, view, (digest) => views.digestOf(digest, at));
    await replay(deps, snapshot, collection, segments, tails, expected, signal);
    expected.expire(msOfHybrid(ts));
    result.expected += BigInt(expected.rows.size);
    result.unfindableAtSource += expected.misplaced.size;
    if (countsOnly) {
      result.target = await sink.count(target, undefined, signal);
      result.held = comparison.own?.collections.get(collection.id)?.refusedRows.size ?? 0;
      if (result.expected !== result.target) result.undecided = await numbersInMotion(comparison, signal);
      continue;
    }
    const found = await compareRows(comparison, expected, result, signal);
    await settle(comparison, found, expected, ttlMs, result, signal);
  }
  return result;
}

/** With a log the numbers are of its end, where a copy that follows is. Files are behind the source, and a copy may be behind them. */
async function numbersInMotion(
  { deps, collection, own, touched }: Comparison,
  signal: AbortSignal,
): Promise<string | undefined> {
  if (deps.steps === undefined) return undefined;
  const live = new Set(collection.partitions.map(({ id }) => id));
  const gone = own?.collections.get(collection.id)?.files?.partitions.find(({ id }) => !live.has(id));
  if (gone !== undefined) return `no step has dropped its partition ${gone.name} yet`;
  const moved = await touched(signal);
  if ("unknown" in moved) return moved.unknown;
  if (moved.keys.size === 0) return undefined;
  return `the source's files hold changes that are later than the copy, of ${moved.keys.size} keys, so that numbers of rows ` +
    "say nothing: verify without --counts, or again after the next step";
}

/** Takes what is equal out of `expected`; what is left is missing. */
async function compareRows(
  { collection, sink, target, keyValues }: Comparison,
  expected: ExpectedRows,
  result: Compared,
  signal: AbortSignal,
): Promise<FoundDifference[]> {
  const key = byName(primaryKey(collection.schema)!);
  const field = partitionKey(collection.schema);
  const sample = new KeySample(keyValues);
  const differences: FoundDifference[] = [];
  const note = (kind: Difference["kind"], partition: string, name: string, log: string, defaulted = false) =>
    differences.push({ kind, partition, key: String(partsOfName(name).key), log, name, defaulted });
  const why = expected.view.defaulted;
  const partitions = field === undefined ? collection.partitions : [undefined];
  for (const partition of partitions) {
    const pages = sink.read(
      { source: collection, target },
      partition === undefined ? {} : { partition: partition.name },
      signal,
    );
    for await (const page of pages) {
      const keys = keysOf(page.fieldsData, key, page.rows).values;
      const digests = rowDigests(page.fieldsData, page.rows);
      const values = field === undefined ? undefined : keysOf(page.fieldsData, byName(field), page.rows).values;
      for (let row = 0; row < page.rows; row++) {
        if (!expected.wants(keys[row]!)) continue;
        result.target++;
        const name = nameOf(partition?.id ?? 0n, keys[row]!);
        if (values !== undefined) sample.add(values[row]!, keys[row]!);
        const digest = expected.rows.get(name);
        const where = partition?.name ?? "";
        if (expected.expired.has(name)) result.expired++;
        else if (digest === undefined) note("extra", where, name, "no such row, or it was deleted");
        else if (why !== undefined && isDefaulted(digest, digests[row]!)) note("content", where, name, why, true);
        else if (digest !== digests[row]!) note("content", where, name, "its newest insert says other content");
        expected.rows.delete(name);
      }
    }
  }
  const names = new Map(collection.partitions.map((partition) => [partition.id, partition.name]));
  for (const name of expected.rows.keys()) {
    note("missing", names.get(partsOfName(name).partition) ?? "", name, "inserted and not deleted");
  }
  expected.rows.clear();
  if (field === undefined) return differences;
  const before = result.keyValues ?? { checked: 0, all: true };
  const taken = sample.take();
  result.keyValues = { checked: Math.max(before.checked, taken.size), all: before.all && sample.isWhole };
  for (const { value, key } of await notFoundByKey(sink, collection, target, taken, signal)) {
    note(
      "unfindable",
      "",
      nameOf(0n, key),
      `it is there, but ${field.name} == ${JSON.stringify(String(value))} does not find it`,
    );
  }
  return differences;
}

/** Leaves out what is held, in motion or past its time to live. */
async function settle(
  { deps, snapshot, collection, own, ts, touched }: Comparison,
  found: readonly FoundDifference[],
  expected: ExpectedRows,
  ttlMs: number | undefined,
  result: Compared,
  signal: AbortSignal,
): Promise<void> {
  if (found.length === 0) return;
  const moved = await touched(signal);
  if ("unknown" in moved) {
    result.undecided = moved.unknown;
    return;
  }
  const resting = found.filter(({ key }) => !moved.keys.has(key));
  result.changing += found.length - resting.length;
  const still = resting.filter((difference) => !isHeld(difference, collection, own));
  result.held += resting.length - still.length;
  const extra = new Set(still.filter(({ kind }) => kind === "extra").map(({ name }) => name));
  const gone = ttlMs === undefined || extra.size === 0
    ? new Set<string>()
    // Files do not tell what expired from what was deleted: such rows end so on the target, too.
    : deps.steps !== undefined
    ? extra
    : await expiredAtSource(deps, snapshot, collection, extra, ttlMs, ts, signal);
  const nowMs = deps.now() + CLOCK_SLACK_MS;
  for (const difference of still) {
    const { kind, name } = difference;
    const expired = kind === "extra" ? gone.has(name) : kind === "missing" && expected.mayBeGone(name, nowMs);
    if (expired) result.expired++;
    else result.differences.push(difference);
  }
}

/** While the target refuses a row it has of its key what was there before: nothing, or other content; of a refused delete the row. */
function isHeld({ kind, name }: FoundDifference, { id, schema }: Collection, own: SinkState | undefined): boolean {
  const rows = own?.collections.get(id)?.refusedRows;
  if (rows === undefined || kind === "unfindable") return false;
  const { partition, key } = partsOfName(name);
  const refused = rows.get(partitionKey(schema) === undefined ? partition : -1n, key);
  return refused !== undefined && (refused.isDelete === true) === (kind === "extra");
}
