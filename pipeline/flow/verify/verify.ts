/**
 * The copy against what the source's files and log say, row by row. The log's state at a moment T is computed as a run
 * would (base rows, less deletes, plus tail), the target is read, and each key compared by a digest of its content; rows of a
 * partition key are also asked for by its values, as users do. Keys that the log touched after T are looked at again instead
 * of being called wrong. Where no log is followed, the moment is the cuts of the files. Memory: one digest a row, in parts.
 */
import { TidemarkError, toTidemarkError } from "../../errors.ts";
import {
  type AgreedStatus,
  agreedStatus,
  type Collection,
  type HybridTs,
  qualifiedName,
  type RefusedRowsStatus,
  type RowSink,
  type TargetName,
} from "../../model/mod.ts";
import { liveSegments } from "../../transforms/mod.ts";
import type { FlowDependencies } from "../dependencies.ts";
import { requireSelection, selectedOf, usableOf } from "../selection.ts";
import { type CollectionState, parseRunState, type RefusedRows, type RunState } from "../state/mod.ts";
import { compareCollection, type Compared, type Comparison, type Difference, type FoundDifference } from "./compare.ts";
import { cutsOfFiles, endOfLog, reachedState } from "./moment.ts";
import { Views } from "./view.ts";
import { NOTHING_REPAIRED, repairCollection, type Repaired } from "./repair.ts";
import { touchedInFiles, touchedInLog } from "./touched.ts";
import { plural } from "../../units/mod.ts";

export interface VerifyOptions {
  /** Only counts; otherwise keys and content too. */
  readonly countsOnly: boolean;
  /** How many differing keys are named per collection. */
  readonly names: number;
  /** How long to wait for a running pipeline to reach the compared moment, ms. */
  readonly waitMs: number;
  /** Values of a partition key that are asked for one by one; of more, a sample of so many. */
  readonly keyValues: number;
  /** Rewrites what differs, then compares once more. No run may hold the state meanwhile. */
  readonly repair: boolean;
  readonly onProgress?: (message: string) => void;
}

export interface CollectionVerdict {
  readonly sink: string;
  readonly source: string;
  readonly target: string;
  /**
   * `held`: the collection, or the rows of it that its target refused, and nothing else differs; `unfinished`: its base goes
   * on with the next run; `not_loaded`: it cannot be read.
   */
  readonly verdict: "equal" | "different" | "held" | "unfinished" | "not_loaded";
  /** Rows that the log says are alive, keys inserted twice counted once; null where nothing was compared. */
  readonly expectedRows: bigint | null;
  readonly targetRows: bigint | null;
  readonly missing: number;
  readonly extra: number;
  readonly content: number;
  /** Rows that the target has but does not find by their partition key. */
  readonly unfindable: number;
  /** Rows that the source itself does not find so: its clients' upserts put them there. No fault of the copy. */
  readonly unfindableAtSource: number;
  /** Values of the partition key that were asked for, and whether these are all; null where there is none. */
  readonly keyValues: { readonly checked: number; readonly all: boolean } | null;
  /** Rows that the target refused and the run holds, or has put aside: no differences. */
  readonly heldRows: number;
  /** Keys in motion: the log touched them after the compared moment, so they were left out. */
  readonly changing: number;
  /** Rows past their time to live at the compared moment on one side or both: left out. */
  readonly expired: number;
  /** What a repair wrote before this comparison; null where none was asked for. */
  readonly repaired: Repaired | null;
  /** Columns that the target does not take as they are: compared as was agreed. */
  readonly agreed: readonly AgreedStatus[];
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

/** Throws `locked` for a repair while a run holds the state. */
export async function verifyRun(
  deps: FlowDependencies,
  options: VerifyOptions,
  signal: AbortSignal,
): Promise<VerifyReport> {
  if (!options.repair) return await verifyOnce(deps, options, undefined, signal);
  await using lease = await deps.state.lock(signal);
  const leased = AbortSignal.any([signal, lease.lost]);
  const repaired = new Map<string, Repaired>();
  // Nothing moves the copy meanwhile.
  const still = { ...options, countsOnly: false, waitMs: 0 };
  await verifyOnce(deps, still, (key, count) => repaired.set(key, count), leased);
  const report = await verifyOnce(deps, { ...still, repair: false }, undefined, leased);
  const collections = report.collections.map((item) => ({
    ...item,
    repaired: repaired.get(`${item.sink} ${item.source}`) ?? NOTHING_REPAIRED,
  }));
  return { ...report, collections };
}

async function verifyOnce(
  deps: FlowDependencies,
  options: VerifyOptions,
  mended: ((key: string, count: Repaired) => void) | undefined,
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
  const selected = usableOf(deps, snapshot);
  const before = parseRunState(text, deps.state.location);
  const agreedOn = (state: RunState, sink: string, id: bigint) =>
    state.sinks.get(sink)?.collections.get(id)?.agreed ?? [];
  const views = new Map(selected.map((collection) => [
    collection.id,
    new Views(collection, deps.sinks.map(({ sink }) => agreedOn(before, sink.name, collection.id)), {
      fills: deps.unsupported?.policy === "fill",
    }),
  ]));
  const moment = deps.steps === undefined
    ? await endOfLog(deps, snapshot, selected, views, signal)
    : cutsOfFiles(deps, snapshot, selected);
  const { ts, tails } = moment;
  options.onProgress?.(`Waits until the copy has reached ${ts}`);
  const verdicts: CollectionVerdict[] = [];
  const { state, reached } = await reachedState(deps, moment, options.waitMs, signal);
  for (const [at, setup] of deps.sinks.entries()) {
    const { sink } = setup;
    const own = state.sinks.get(sink.name);
    for (const collection of selectedOf(deps, snapshot.catalog)) {
      const unusable = snapshot.unusable?.get(collection.id);
      const there = own?.collections.get(collection.id);
      const target = there?.target ?? deps.route(collection.dbName, collection.name);
      options.onProgress?.(`${qualifiedName(collection)} against ${target.db}.${target.name} on ${sink.name}`);
      if (unusable !== undefined) {
        verdicts.push(none(sink, collection, target, "held", unusable));
        continue;
      }
      if (there?.blocked !== undefined) {
        verdicts.push(none(sink, collection, target, "held", there.blocked));
        continue;
      }
      if (there?.phase === "base" || there?.phase === "creating") {
        const detail = "its base is not complete: the run that is under way, or the next one, goes on with it";
        verdicts.push(none(sink, collection, target, "unfinished", detail));
        continue;
      }
      const notYet = deps.steps === undefined ? undefined : awaitsStep(collection, there);
      if (notYet !== undefined) {
        verdicts.push(none(sink, collection, target, "unfinished", `${notYet}: verify again after the next step`));
        continue;
      }
      const agreed = agreedOn(state, sink.name, collection.id);
      if (agreed.length !== agreedOn(before, sink.name, collection.id).length) {
        const detail = "a field that the target does not take came while this compared: verify again";
        verdicts.push(none(sink, collection, target, "unfinished", detail));
        continue;
      }
      const predicate = collection.vchannels.flatMap((vchannel) => tails.get(vchannel)?.predicate ?? [])[0];
      if (predicate !== undefined) {
        const detail = `which rows it met is told neither by the log nor by the files yet: ${predicate}`;
        verdicts.push(none(sink, collection, target, "unfinished", detail));
        continue;
      }
      const seen = { views: views.get(collection.id)!, at };
      const touched = (signal: AbortSignal) =>
        deps.steps === undefined || own === undefined
          ? touchedInLog(deps, collection, tails, own, signal)
          : touchedInFiles(deps, { snapshot, collection, sink: sink.name, own }, signal);
      const compared = await compareOne(
        { deps, snapshot, collection, sink, target, tails, seen, own, ts, touched, ...compareBy(options) },
        signal,
      );
      if ("verdict" in compared) {
        verdicts.push(compared);
        continue;
      }
      if (compared.undecided !== undefined) {
        const detail = `what differs may be right, nobody can tell: ${compared.undecided}`;
        verdicts.push(none(sink, collection, target, "unfinished", detail));
        continue;
      }
      verdicts.push({
        ...verdictOf(sink, collection, target, compared, there?.refusedRows, options),
        agreed: agreed.map(agreedStatus),
      });
      if (mended === undefined || there?.phase !== "tail") continue;
      // Written again, such a row would be the same.
      const differences = compared.differences.filter(({ defaulted }) => !defaulted);
      const job = { deps, snapshot, collection, setup, target, agreed, tails, differences };
      mended(`${sink.name} ${qualifiedName(collection)}`, await repairCollection(job, signal));
    }
  }
  return { ts, reached, collections: verdicts, equal: verdicts.every((item) => item.verdict === "equal") };
}

/** Why a copy without a log cannot be compared with what the metadata says of the collection by now. */
function awaitsStep(collection: Collection, there: CollectionState | undefined): string | undefined {
  if (there?.files === undefined) return "no step has brought it yet";
  const known = new Set(there.files.partitions.map(({ id }) => id));
  const fresh = collection.partitions.find(({ id }) => !known.has(id));
  if (fresh !== undefined) return `no step has brought its partition ${fresh.name} yet`;
  const { truncated } = there.files;
  const isBehind = [...collection.truncated ?? []].some(([vchannel, ts]) => ts > (truncated[vchannel] ?? 0n));
  return isBehind ? "no step has brought its truncation yet" : undefined;
}

function compareBy({ countsOnly, keyValues }: VerifyOptions) {
  return { countsOnly, keyValues };
}

async function compareOne(
  comparison: Omit<Comparison, "segments">,
  signal: AbortSignal,
): Promise<Compared | CollectionVerdict> {
  const { snapshot, collection, sink, target } = comparison;
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
  try {
    return await compareCollection({ ...comparison, segments: liveSegments(snapshot, collection) }, signal);
  } catch (thrown) {
    const error = toTidemarkError(thrown);
    if (error.code !== "unsupported" || signal.aborted) throw thrown;
    return none(sink, collection, target, "unfinished", error.message);
  }
}

function verdictOf(
  sink: RowSink,
  collection: Collection,
  target: TargetName,
  compared: Compared,
  refusedRows: RefusedRows | undefined,
  options: VerifyOptions,
): CollectionVerdict {
  const { differences, held } = compared;
  const number = (kind: Difference["kind"]) => differences.filter((item) => item.kind === kind).length;
  // Of a held row the target may have what its key was before.
  const lacking = compared.expected - compared.target;
  const equal = compared.countsOnly ? lacking >= 0n && lacking <= BigInt(held) : differences.length === 0;
  const verdict = !equal ? "different" : held > 0 ? "held" : "equal";
  return {
    ...none(sink, collection, target, verdict, heldText(held, refusedRows?.status())),
    heldRows: held,
    expectedRows: compared.expected,
    targetRows: compared.target,
    missing: number("missing"),
    extra: number("extra"),
    content: number("content"),
    unfindable: number("unfindable"),
    unfindableAtSource: compared.unfindableAtSource,
    keyValues: compared.keyValues ?? null,
    changing: compared.changing,
    expired: compared.expired,
    examples: differences.slice(0, options.names).map(plainDifference),
  };
}

function heldText(rows: number, status: RefusedRowsStatus | undefined): string {
  if (rows === 0 || status === undefined) return "";
  const { held, deadLetters, keys, reason } = status;
  const what = deadLetters === 0 ? "held" : held === 0 ? "put aside" : "held or put aside";
  const more = held + deadLetters > keys.length ? ", …" : "";
  return `${rows} ${plural(rows, "row that the target refused is", "rows that the target refused are")} ${what}, ` +
    `no difference: key ${keys.join(", ")}${more}; ${reason}`;
}

function plainDifference({ kind, partition, key, log }: FoundDifference): Difference {
  return { kind, partition, key, log };
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
    expectedRows: null,
    targetRows: null,
    missing: 0,
    extra: 0,
    content: 0,
    unfindable: 0,
    unfindableAtSource: 0,
    keyValues: null,
    heldRows: 0,
    changing: 0,
    expired: 0,
    repaired: null,
    agreed: [],
    examples: [],
    detail,
  };
}
