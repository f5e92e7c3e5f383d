/** The base of a backup: every file that metadata names of the wanted collections, and the deletes that it forgot. */
import { type ErrorCode, TidemarkError, toTidemarkError } from "../../errors.ts";
import {
  type BackupSession,
  type BaseCollection,
  type BaseFacts,
  type Collection,
  type Cut,
  type DeleteMark,
  type FileFinding,
  type FileReport,
  type HybridTs,
  type LogFile,
  qualifiedName,
  type Segment,
  type SegmentCopy,
  type Snapshot,
} from "../../model/mod.ts";
import { firstExactTs, liveSegments } from "../../transforms/mod.ts";
import { ForgottenDeletes, forgottenDemands } from "./deletes.ts";
import { readForgotten, statesOf } from "./known.ts";
import type { LeftOutCollection } from "./left_out.ts";
import { type LogDeletes, refuseWrongRoot, Slots, unreadableDeletes } from "../base/mod.ts";
import type { FlowDependencies } from "../dependencies.ts";
import type { RunProgress } from "../state/mod.ts";
import { plural } from "../../units/mod.ts";

/** What goes into a base, decided once; a resumed base keeps its cuts. */
export interface BasePlan {
  readonly snapshot: Snapshot;
  readonly collections: readonly Collection[];
  readonly cuts: readonly Cut[];
  /** Selected, and yet not taken. */
  readonly leftOut?: readonly LeftOutCollection[];
}

export interface ArchiveBaseOptions {
  readonly deps: FlowDependencies;
  readonly sink: string;
  readonly session: BackupSession;
  readonly plan: BasePlan;
  readonly progress: RunProgress;
  /** Shared with the row sinks: pieces of work that hold rows in memory. */
  readonly slots: Slots;
  readonly leftOut: readonly LeftOutCollection[];
  /** A collection failed; the others go on. */
  readonly failed: (collection: Collection, error: TidemarkError) => void;
}

export interface FailedCollection {
  readonly code: ErrorCode;
  readonly id: bigint;
  readonly name: string;
  readonly reason: string;
  readonly hint: string | undefined;
}

/** There is no backup; the code says what was wrong with the first collection. */
export class NothingBackedUp extends TidemarkError {}

/** Attempts at a collection whose files vanish because the source compacts under it, each with fresh metadata. */
const BASE_ATTEMPTS = 8;
/** Segments under way at once; how many files that are is the sink's own limit. */
const SEGMENTS_AT_ONCE = 32;
const COLLECTIONS_AT_ONCE = 8;
/** Files named in the log for each collection; all of them are in the backup's own facts. */
const FINDINGS_SAID = 20;

/** What a fault of one collection looks like; everything else is one of the surroundings and ends the run. */
const OWN_FAULT: ReadonlySet<TidemarkError["code"]> = new Set(["not_found", "damaged", "unsupported", "refused"]);

export class ArchiveBase {
  readonly #o: ArchiveBaseOptions;
  readonly #segments = new Slots(SEGMENTS_AT_ONCE);
  readonly #findings: FileFinding[] = [];
  readonly #done: BaseCollection[] = [];
  readonly #failed: FailedCollection[] = [];
  /** vchannel -> id of the topic that was searched for its deletes. */
  readonly #searched = new Map<string, string>();
  readonly #copies = new Map<bigint, SegmentCopy>();
  #exactFrom: HybridTs;

  constructor(options: ArchiveBaseOptions) {
    this.#o = options;
    this.#exactFrom = firstExactTs(options.plan.snapshot, options.plan.collections);
  }

  /** The first moment that base and log give exactly over all channels; later when segments had to be looked up again. */
  get exactFrom(): HybridTs {
    return this.#exactFrom;
  }

  get failed(): readonly FailedCollection[] {
    return this.#failed;
  }

  /** Says what is copied; the log may be appended afterwards. */
  async begin(signal: AbortSignal): Promise<void> {
    await this.#o.session.begin(this.#facts(this.#o.plan.collections), signal);
  }

  /** Copies all collections. Throws what was wrong with the first if there are some and none succeeded. */
  async copy(signal: AbortSignal): Promise<void> {
    const { plan, progress, sink } = this.#o;
    const { snapshot, collections } = plan;
    for (const collection of collections) {
      const segments = liveSegments(snapshot, collection);
      progress.expect(sink, collection, segments.length, segments.reduce((sum, { rows }) => sum + rows, 0n));
    }
    let searching: Promise<LogDeletes> | undefined;
    const logDeletes = () => {
      searching ??= this.#search(snapshot, collections, signal);
      searching.catch(() => {});
      return searching;
    };
    let next = 0;
    const worker = async () => {
      while (next < collections.length) await this.#guarded(collections[next++]!, logDeletes, signal);
    };
    const workers = Array.from({ length: Math.min(collections.length, COLLECTIONS_AT_ONCE) }, worker);
    const results = await Promise.allSettled(workers);
    for (const result of results) if (result.status === "rejected") throw result.reason;
    const first = this.#failed[0] ?? this.#o.leftOut.map(leftOutFault)[0];
    if (this.#done.length === 0 && first !== undefined) {
      throw new NothingBackedUp(first.code, `Nothing could be backed up; ${first.name}: ${first.reason}`, {
        hint: first.hint ?? "No backup was written. Mend that, and the next run begins it again.",
      });
    }
  }

  /** Writes the metadata. */
  async finish(signal: AbortSignal): Promise<void> {
    const { deps, session } = this.#o;
    // What was dropped meanwhile is not in it, and segments that were looked up again are exact from later on.
    const failed = new Set(this.#failed.map(({ id }) => id));
    const there = new Set([...this.#done.map(({ collection }) => collection.id), ...failed]);
    await session.begin(this.#facts(this.#o.plan.collections.filter(({ id }) => there.has(id))), signal);
    const missing = [...this.#failed, ...this.#o.leftOut].map(({ id, name, reason }) => ({ id, name, reason }));
    const report = await session.finishBase(this.#done, missing, signal);
    deps.report.info(
      `Backup ${report.name}: ${report.objects} ${
        plural(report.objects, "object")
      }, ${report.bytes} bytes, ${report.sharedBytes} of them shared with the base before; ${this.#counts()}` +
        (report.removed.length === 0
          ? ""
          : `; ${report.removed.length} ${plural(report.removed.length, "file")} of replaced segments removed`),
    );
  }

  #facts(collections: readonly Collection[]): BaseFacts {
    const { snapshot, cuts } = this.#o.plan;
    const ids = new Set(collections.map(({ id }) => id));
    return {
      revision: snapshot.revision,
      clusterId: snapshot.clusterId,
      serverVersion: snapshot.serverVersion,
      takenAtMs: snapshot.takenAtMs,
      catalog: snapshot.catalog,
      cuts: cuts.filter((cut) => ids.has(cut.collectionId)),
      exactFrom: this.#exactFrom,
      collectionIds: [...ids],
      findings: this.#findings,
      knownDeletes: this.#done.flatMap(({ collection }) =>
        statesOf(snapshot, collection, this.#cutsOf(collection), this.#searched)
      ),
    };
  }

  async #search(snapshot: Snapshot, collections: readonly Collection[], signal: AbortSignal): Promise<LogDeletes> {
    const { deps, session } = this.#o;
    const demands = collections.flatMap((item) => forgottenDemands(snapshot, item, this.#cutsOf(item)));
    const found = await readForgotten(deps, session, snapshot, demands, signal);
    for (const { cut, horizon } of demands) {
      const topicId = found.topicIds.get(cut.pchannel);
      if (horizon !== undefined && topicId !== undefined) this.#searched.set(cut.vchannel, topicId);
    }
    return found;
  }

  #cutsOf(collection: Collection): Cut[] {
    return this.#o.plan.cuts.filter((cut) => cut.collectionId === collection.id);
  }

  /** A fault of the collection costs the collection. */
  async #guarded(collection: Collection, logDeletes: () => Promise<LogDeletes>, signal: AbortSignal): Promise<void> {
    try {
      const copied = await this.#collection(collection, logDeletes, signal);
      if (copied !== undefined) this.#done.push(copied);
    } catch (thrown) {
      if (signal.aborted) throw thrown;
      const error = toTidemarkError(thrown);
      if (!OWN_FAULT.has(error.code)) throw thrown;
      const { state } = await this.#o.deps.meta.lookup(collection.id, signal);
      if (state === "dropping" || state === "unknown") return this.#gone(collection);
      const { code, message: reason, hint } = error;
      this.#failed.push({ id: collection.id, name: qualifiedName(collection), code, reason, hint });
      this.#o.failed(collection, error);
    }
  }

  /** Undefined if the source dropped it meanwhile. */
  async #collection(
    wanted: Collection,
    firstDeletes: () => Promise<LogDeletes>,
    signal: AbortSignal,
  ): Promise<BaseCollection | undefined> {
    const { deps } = this.#o;
    let { snapshot } = this.#o.plan;
    let collection = wanted;
    let logDeletes = firstDeletes;
    for (let attempt = 1;; attempt++) {
      try {
        const segmentIds = await this.#segmentsOf(snapshot, collection, logDeletes, attempt === 1, signal);
        return { collection: wanted, segmentIds };
      } catch (thrown) {
        if (signal.aborted) throw thrown;
        const error = toTidemarkError(thrown);
        if (error.code !== "not_found" || attempt === BASE_ATTEMPTS) throw error;
        await refuseWrongRoot(deps, signal);
        deps.report.info(`${error.message}; reads the metadata again (attempt ${attempt + 1} of ${BASE_ATTEMPTS})`);
        // Compaction moved the rows elsewhere: the cut stays, the segments are those of now.
        snapshot = await deps.meta.snapshot(signal);
        const now = snapshot.catalog.collections.find((item) => item.id === collection.id);
        if (now === undefined) return void this.#gone(collection);
        collection = now;
        const exact = firstExactTs(snapshot, [collection]);
        if (exact > this.#exactFrom) this.#exactFrom = exact;
        const again = this.#search(snapshot, [collection], signal);
        again.catch(() => {});
        logDeletes = () => again;
      }
    }
  }

  async #segmentsOf(
    snapshot: Snapshot,
    collection: Collection,
    logDeletes: () => Promise<LogDeletes>,
    first: boolean,
    signal: AbortSignal,
  ): Promise<bigint[]> {
    const { deps, session, progress, sink, slots } = this.#o;
    const unusable = snapshot.unusable?.get(collection.id);
    if (unusable !== undefined) throw new TidemarkError("damaged", unusable);
    const live = liveSegments(snapshot, collection);
    const all = snapshot.segments.filter((segment) => segment.collectionId === collection.id);
    const files = await deps.binlogs.verify(collection.id, all, signal);
    const ids = new Set(live.map(({ id }) => id));
    const unreadable = files.findings.find(({ kind }) => kind === "unreadable");
    if (unreadable !== undefined) {
      throw new TidemarkError("unsupported", `${qualifiedName(collection)}: ${unreadable.detail}`, {
        hint: "Exclude the collection, or back it up with Milvus' own snapshots.",
      });
    }
    const wrong = files.findings.find(({ kind, segmentId }) =>
      (kind === "missing" || kind === "wrong_size") && ids.has(segmentId)
    );
    if (wrong !== undefined) {
      throw new TidemarkError(
        "not_found",
        `Segment ${wrong.segmentId} of ${qualifiedName(collection)}: ${wrong.path}: ${wrong.detail}`,
        {
          hint:
            "The metadata names a file that the bucket does not have as named. Check sources.binlogs (bucket, root_path), or whether somebody deletes from the source's bucket.",
        },
      );
    }
    if (first) this.#say(collection, files);
    const { binlogs } = deps;
    const object = (file: LogFile) => ({ ...binlogs.object(file), info: files.listed(file) });
    // The backup says the schema of the plan, also where the segments are those of newer metadata.
    const { schema } = this.#o.plan.collections.find(({ id }) => id === collection.id)!;
    const copyOf = (segment: Segment, marks: readonly DeleteMark[]) =>
      session.copySegment(segment, object, marks, signal, files.kept?.get(segment.id), {
        schema,
        rows: (fieldIds, signal) => binlogs.rows(segment, schema, fieldIds, signal),
        deletes: (file, signal) => binlogs.deletes(file, signal),
      });
    const copying = Promise.allSettled(live.map((segment) =>
      this.#segments.run(async () => {
        signal.throwIfAborted();
        const copy = await copyOf(segment, []);
        this.#count(copy);
        progress.written(Number(segment.rows), Number(copy.bytes - copy.sharedBytes));
        progress.segmentDone(sink, collection.id);
        deps.crash("between_segments");
        deps.crash("backup_segment");
      })
    ));
    // The log is searched beside the copying: it can be as large as the files. The copies come first, they are others' work.
    const searching = logDeletes();
    const copied = await copying;
    for (const result of copied) if (result.status === "rejected") throw result.reason;
    const found = await searching;
    const unknown = unreadableDeletes(found, collection.vchannels);
    if (unknown !== undefined) throw unknown;
    const forgotten = new ForgottenDeletes({
      binlogs,
      collection,
      segments: all,
      logDeletes: found,
      deltaFiles: files.deltaFiles,
    });
    const results = await Promise.allSettled(live.map((segment) =>
      this.#segments.run(async () => {
        const marks = await forgotten.of(segment, slots, signal);
        // The files are there: only the delta log is added.
        if (marks.length > 0) this.#count(await copyOf(segment, marks));
      })
    ));
    for (const result of results) if (result.status === "rejected") throw result.reason;
    return live.map(({ id }) => id);
  }

  /** Files that metadata does not name: insert files are left out, deletes in unnamed delta files are kept. */
  #say(collection: Collection, { findings }: FileReport): void {
    this.#findings.push(...findings);
    for (const { kind, path, detail } of findings.slice(0, FINDINGS_SAID)) {
      this.#o.deps.report.warn(`file ${path}`, `${qualifiedName(collection)}: ${kind} ${path}: ${detail}`);
    }
    if (findings.length > FINDINGS_SAID) {
      this.#o.deps.report.warn(
        `files ${collection.id}`,
        `${qualifiedName(collection)}: ${
          findings.length - FINDINGS_SAID
        } more such files; all are in tidemark.json of backup ${this.#o.session.name}`,
      );
    }
  }

  /** A segment that was looked up again is counted as it is at last. */
  #count(copy: SegmentCopy): void {
    const before = this.#copies.get(copy.segmentId);
    // What this very run copied in an attempt before is no leftover of a former run.
    const present = before === undefined ? copy.presentFiles : Math.min(before.presentFiles, copy.presentFiles);
    this.#copies.set(copy.segmentId, { ...copy, presentFiles: present });
  }

  #counts(): string {
    let files = 0;
    let present = 0;
    let deletes = 0;
    for (const copy of this.#copies.values()) {
      files += copy.files;
      present += copy.presentFiles;
      deletes += copy.ownDeletes;
    }
    return `${files - present} ${plural(files - present, "file")} copied, ${present} there from before, ${deletes} ${
      plural(deletes, "delete")
    } added that the metadata did not name`;
  }

  #gone(collection: Collection): void {
    this.#o.deps.report.warn(
      `gone ${collection.id}`,
      `${qualifiedName(collection)} was dropped while it was copied; it is not in the backup`,
    );
  }
}

/** Where the log is gone no later run finds it; metadata that cannot be used is damage. */
function leftOutFault({ id, name, component, reason }: LeftOutCollection): FailedCollection {
  return { id, name, reason, hint: undefined, code: component === "sources.log" ? "position_lost" : "damaged" };
}
