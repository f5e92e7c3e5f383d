/**
 * The copy against what the source's files and log say, row by row. The log's state at a moment T is computed as a run
 * would (base rows, less deletes, plus tail), the target is read, and each key compared by a digest of its content. Keys
 * that the log touched after T are looked at again instead of being called wrong. Memory: one digest a row, in parts.
 */
import { TidemarkError } from "../../errors.ts";
import {
  type Collection,
  type HybridTs,
  partitionKey,
  primaryKey,
  qualifiedName,
  type RowSink,
  type Snapshot,
  type TargetName,
} from "../../model/mod.ts";
import { keysOf, rowDigests } from "../../columns/mod.ts";
import { liveSegments } from "../../transforms/mod.ts";
import type { FlowDependencies } from "../dependencies.ts";
import { pause } from "../pause.ts";
import { requireSelection, selectedOf } from "../selection.ts";
import { parseRunState, type SinkState } from "../state/mod.ts";
import { expectedRows, nameOf, partOf, readTail, type Tail, touchedSince } from "./log.ts";

export interface VerifyOptions {
  /** Only counts; otherwise keys and content too. */
  readonly countsOnly: boolean;
  /** How many differing keys are named per collection. */
  readonly names: number;
  /** How long to wait for a running pipeline to reach the compared moment, ms. */
  readonly waitMs: number;
  readonly onProgress?: (message: string) => void;
}

export interface Difference {
  /** `missing` on the target, `extra` there, or of other `content`. */
  readonly kind: "missing" | "extra" | "content";
  readonly partition: string;
  readonly key: string;
  /** What the log says of the key. */
  readonly log: string;
}

export interface CollectionVerdict {
  readonly sink: string;
  readonly source: string;
  readonly target: string;
  readonly verdict: "equal" | "different" | "held" | "not_loaded";
  /** Rows that the log says are alive, keys inserted twice counted once. */
  readonly expectedRows: bigint;
  readonly targetRows: bigint;
  readonly missing: number;
  readonly extra: number;
  readonly content: number;
  /** Keys in motion: the log touched them after the compared moment, so they were left out. */
  readonly changing: number;
  readonly examples: readonly Difference[];
  readonly detail: string;
}

export interface VerifyReport {
  /** The compared moment. */
  readonly ts: HybridTs;
  /** False: the copy stands before that moment and does not move; keys that the log touched in between were left out. */
  readonly reached: boolean;
  readonly collections: readonly CollectionVerdict[];
  readonly equal: boolean;
}

/** Digests of this many rows are held at once. */
const ROWS_PER_PART = 2_000_000;

export async function verifyRun(
  deps: FlowDependencies,
  options: VerifyOptions,
  signal: AbortSignal,
): Promise<VerifyReport> {
  const text = await deps.state.read(signal);
  if (text === undefined) {
    throw new TidemarkError("not_found", `There is no state of pipeline ${deps.pipeline} at ${deps.state.location}`, {
      hint: "verify compares what a run has copied. Run `tidemark run --once` first.",
    });
  }
  const snapshot = await deps.meta.snapshot(signal);
  // A state says nothing here: a comparison of nothing would be called equal.
  requireSelection(deps, snapshot.catalog, undefined);
  const selected = selectedOf(deps, snapshot.catalog);
  const pchannels = [...new Set(selected.flatMap((collection) => collection.pchannels))];
  const tails = new Map<string, Tail>();
  let ts = 0n;
  for (const pchannel of pchannels) {
    const tail = await readTail(deps, snapshot, selected, pchannel, signal);
    if (tail.tick > ts) ts = tail.tick;
    for (const [vchannel, own] of tail.channels) {
      tails.set(vchannel, { tick: tail.tick, offset: tail.offset, events: own });
    }
  }
  options.onProgress?.(`Waits until the copy has reached ${ts}`);
  const verdicts: CollectionVerdict[] = [];
  const { state, reached } = await reachedState(deps, pchannels, tails, options.waitMs, signal);
  for (const { sink } of deps.sinks) {
    const own = state.sinks.get(sink.name);
    for (const collection of selected) {
      const there = own?.collections.get(collection.id);
      const target = there?.target ?? deps.route(collection.dbName, collection.name);
      options.onProgress?.(`${qualifiedName(collection)} against ${target.db}.${target.name} on ${sink.name}`);
      if (there?.blocked !== undefined) {
        verdicts.push(none(sink, collection, target, "held", there.blocked));
        continue;
      }
      verdicts.push(await verifyOne(deps, snapshot, collection, sink, target, tails, own, options, signal));
    }
  }
  return { ts, reached, collections: verdicts, equal: verdicts.every((item) => item.verdict === "equal") };
}

/** A copy whose positions do not move for this long is not being run. */
const STANDS_STILL_MS = 3000;

/** Reads the state until every position has passed the compared moment, or none moves any more. */
async function reachedState(
  deps: FlowDependencies,
  pchannels: readonly string[],
  tails: ReadonlyMap<string, Tail>,
  waitMs: number,
  signal: AbortSignal,
) {
  const end = deps.now() + waitMs;
  let before = "";
  let moved = deps.now();
  for (;;) {
    const state = parseRunState((await deps.state.read(signal))!, deps.state.location);
    const positions = [...state.sinks.values()].flatMap((sink) =>
      pchannels.map((name) => sink.positions.get(name)?.tick ?? 0n)
    );
    const wanted = (pchannel: string) =>
      [...tails].find(([vchannel]) => vchannel.startsWith(`${pchannel}_`))?.[1].tick ?? 0n;
    const behind = positions.some((tick, i) => tick < wanted(pchannels[i % pchannels.length]!));
    if (!behind) return { state, reached: true };
    if (positions.join() !== before) {
      before = positions.join();
      moved = deps.now();
    }
    if (deps.now() >= end || deps.now() - moved >= STANDS_STILL_MS) return { state, reached: false };
    await pause(250, signal);
  }
}

async function verifyOne(
  deps: FlowDependencies,
  snapshot: Snapshot,
  collection: Collection,
  sink: RowSink,
  target: TargetName,
  tails: ReadonlyMap<string, Tail>,
  own: SinkState | undefined,
  options: VerifyOptions,
  signal: AbortSignal,
): Promise<CollectionVerdict> {
  const there = await sink.state(target, signal);
  if (!there.exists) return none(sink, collection, target, "different", "the collection is not on the target");
  if (!there.loaded) {
    return none(
      sink,
      collection,
      target,
      "not_loaded",
      `${target.db}.${target.name} is not loaded on ${sink.name}, so its rows cannot be read; load it and verify again`,
    );
  }
  const segments = liveSegments(snapshot, collection);
  const rows = segments.reduce((sum, segment) => sum + Number(segment.rows), 0);
  const parts = options.countsOnly ? 1 : Math.max(1, Math.ceil(rows / ROWS_PER_PART));
  const result = {
    expected: 0n,
    target: 0n,
    missing: 0,
    extra: 0,
    content: 0,
    changing: 0,
    examples: [] as Difference[],
  };
  for (let part = 0; part < parts; part++) {
    const expected = await expectedRows(deps, snapshot, collection, segments, tails, part, parts, signal);
    result.expected += BigInt(expected.size);
    if (options.countsOnly) {
      result.target = await sink.count(target, undefined, signal);
      continue;
    }
    const differences = await compare(collection, sink, target, expected, part, parts, result, signal);
    const moved = differences.length === 0
      ? new Set<string>()
      : await touchedSince(deps, collection, tails, own, signal);
    for (const difference of differences) {
      if (moved.has(difference.key)) {
        result.changing++;
        continue;
      }
      result[difference.kind]++;
      if (result.examples.length < options.names) result.examples.push(difference);
    }
  }
  const equal = options.countsOnly
    ? result.expected === result.target
    : result.missing + result.extra + result.content === 0;
  return {
    sink: sink.name,
    source: qualifiedName(collection),
    target: `${target.db}.${target.name}`,
    verdict: equal ? "equal" : "different",
    expectedRows: result.expected,
    targetRows: result.target,
    missing: result.missing,
    extra: result.extra,
    content: result.content,
    changing: result.changing,
    examples: result.examples,
    detail: "",
  };
}

/** Takes what is equal out of `expected`; what is left is missing. */
async function compare(
  collection: Collection,
  sink: RowSink,
  target: TargetName,
  expected: Map<string, bigint>,
  part: number,
  parts: number,
  result: { target: bigint },
  signal: AbortSignal,
): Promise<Difference[]> {
  const key = primaryKey(collection.schema)!;
  const scoped = partitionKey(collection.schema) === undefined;
  const differences: Difference[] = [];
  const note = (kind: Difference["kind"], partition: string, name: bigint | string, log: string) =>
    differences.push({ kind, partition, key: String(name), log });
  const partitions = scoped ? collection.partitions : [undefined];
  for (const partition of partitions) {
    const pages = sink.read(
      { source: collection, target },
      partition === undefined ? {} : { partition: partition.name },
      signal,
    );
    for await (const page of pages) {
      const keys = keysOf(page.fieldsData, key, page.rows).values;
      const digests = rowDigests(page.fieldsData, page.rows);
      for (let row = 0; row < page.rows; row++) {
        if (partOf(keys[row]!, parts) !== part) continue;
        result.target++;
        const name = nameOf(partition?.id ?? 0n, keys[row]!);
        const digest = expected.get(name);
        if (digest === undefined) note("extra", partition?.name ?? "", keys[row]!, "no such row, or it was deleted");
        else if (digest !== digests[row]!) {
          note("content", partition?.name ?? "", keys[row]!, "its newest insert says other content");
        }
        expected.delete(name);
      }
    }
  }
  const names = new Map(collection.partitions.map((partition) => [String(partition.id), partition.name]));
  for (const name of expected.keys()) {
    const at = name.indexOf("/");
    note("missing", names.get(name.slice(0, at)) ?? "", name.slice(at + 2), "inserted and not deleted");
  }
  expected.clear();
  return differences;
}

function none(
  sink: RowSink,
  collection: Collection,
  target: TargetName,
  verdict: CollectionVerdict["verdict"],
  detail: string,
): CollectionVerdict {
  return {
    sink: sink.name,
    source: qualifiedName(collection),
    target: `${target.db}.${target.name}`,
    verdict,
    expectedRows: 0n,
    targetRows: 0n,
    missing: 0,
    extra: 0,
    content: 0,
    changing: 0,
    examples: [],
    detail,
  };
}
