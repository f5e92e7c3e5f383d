/**
 * One archive sink through a run. Its log begins at the cut, before and beside the base, so that a long base cannot lose
 * the log to retention; new bases are made in the same run while the log goes on.
 */
import { TidemarkError, toTidemarkError } from "../errors.ts";
import type { Json } from "../json.ts";
import {
  type ArchiveSink,
  type BackupSession,
  type BaseCollection,
  type Collection,
  type Cut,
  type DeleteMark,
  type FileFinding,
  type LogFile,
  primaryKey,
  qualifiedName,
  type Segment,
  type Snapshot,
} from "../model/mod.ts";
import { keysOfColumn } from "../columns/mod.ts";
import { deleteHorizon, firstExactTs, liveSegments, makeCuts } from "../transforms/mod.ts";
import { type LogDeletes, readLogDeletes } from "./base_deletes.ts";
import type { Slots } from "./base_copy.ts";
import type { FlowDependencies } from "./dependencies.ts";
import { Mutex } from "./mutex.ts";
import type { RunProgress } from "./run_progress.ts";
import { newCollectionState, type SinkState } from "./run_state.ts";

export interface ArchiveLegOptions {
  readonly deps: FlowDependencies;
  readonly sink: ArchiveSink;
  readonly state: SinkState;
  readonly progress: RunProgress;
  readonly save: () => Promise<void>;
  readonly changed: () => void;
  readonly blocked: (collection: string, error: TidemarkError) => void;
}

const BASE_ATTEMPTS = 5;

/** What the state keeps of an archive sink beyond positions. */
interface ArchiveExtra {
  /** The backup being written. */
  name: string | undefined;
  /** The one before it, whose unchanged files a new base may share. */
  previous: string | undefined;
  complete: boolean;
}

export class ArchiveLeg {
  readonly #o: ArchiveLegOptions;
  readonly #extra: ArchiveExtra;
  readonly #appends = new Mutex();
  #session: BackupSession | undefined;
  readonly #notWanted = new Set<bigint>();
  #baseFailed = 0;

  constructor(options: ArchiveLegOptions) {
    this.#o = options;
    const extra = options.state.extra as { name?: string; previous?: string; complete?: boolean } | null;
    this.#extra = { name: extra?.name, previous: extra?.previous, complete: extra?.complete ?? false };
  }

  get state(): SinkState {
    return this.#o.state;
  }

  get session(): BackupSession {
    if (this.#session === undefined) throw new TidemarkError("unexpected", "The backup was used before it was opened");
    return this.#session;
  }

  /** Collections whose base failed; each was named. */
  get failedCollections(): number {
    return this.#baseFailed;
  }

  /**
   * True if a collection's records belong into this archive. A collection that nobody knows yet may turn out to be
   * selected, so its records are kept: too many do no harm, a missing one does.
   */
  readonly wanted = (id: bigint): boolean => !this.#notWanted.has(id);

  /** New collections are archived from their creation. */
  learn(collections: readonly Collection[]): void {
    for (const collection of collections) {
      const selected = this.#o.deps.selects(collection.dbName, collection.name);
      if (selected || this.#o.state.collections.has(collection.id)) this.#notWanted.delete(collection.id);
      else this.#notWanted.add(collection.id);
    }
  }

  /** Opens the backup that the state names, or a new one with new cuts. */
  async open(snapshot: Snapshot, signal: AbortSignal): Promise<void> {
    const { deps, sink, state } = this.#o;
    this.learn(snapshot.catalog.collections);
    this.#session = await sink.open(
      { resume: this.#extra.name, previous: this.#extra.previous, nowMs: deps.now() },
      signal,
    );
    if (this.#extra.name !== this.#session.name || this.#session.base === "none") this.#newCuts(snapshot);
    this.#extra.name = this.#session.name;
    this.#extra.complete = this.#session.base === "complete";
    await this.#remember();
  }

  #newCuts(snapshot: Snapshot): void {
    const { state } = this.#o;
    state.vchannels.clear();
    state.positions.clear();
    state.collections.clear();
    for (const cut of makeCuts(snapshot, this.#selected(snapshot))) {
      state.vchannels.set(cut.vchannel, { ...cut, held: false });
    }
    for (const collection of this.#selected(snapshot)) {
      const name = { db: collection.dbName, name: collection.name };
      state.collections.set(collection.id, newCollectionState(collection.id, name, name, collection.vchannels, "base"));
    }
  }

  async #remember(): Promise<void> {
    this.#o.state.extra = {
      ...this.#extra,
      name: this.#extra.name ?? null,
      previous: this.#extra.previous ?? null,
    } as Json;
    await this.#o.save();
  }

  #selected(snapshot: Snapshot): Collection[] {
    return snapshot.catalog.collections.filter((item) => this.#o.deps.selects(item.dbName, item.name));
  }

  /** Where the archive of each pchannel goes on. */
  async startPoints(signal: AbortSignal): Promise<void> {
    const { state } = this.#o;
    for (const pchannel of new Set([...state.vchannels.values()].map((own) => own.pchannel))) {
      const { resume } = await this.session.progress(pchannel, signal);
      if (resume !== undefined) state.positions.set(pchannel, resume);
    }
  }

  /** Appends one after the other, and never while a new base takes the log over. */
  readonly appending = <T>(work: () => Promise<T>): Promise<T> => this.#appends.run(work);

  /** Copies what is not in the backup yet and writes its metadata. Does nothing for a complete one. */
  async base(first: Snapshot, slots: Slots, signal: AbortSignal): Promise<void> {
    if (this.#extra.complete) return;
    const report = await this.#copyAll(this.session, first, slots, signal);
    if (report.length > 0) this.#baseFailed = report.length;
    this.#extra.complete = true;
    await this.#remember();
  }

  async #copyAll(
    session: BackupSession,
    first: Snapshot,
    slots: Slots,
    signal: AbortSignal,
  ): Promise<{ id: bigint; name: string; reason: string }[]> {
    const { deps, state, progress, sink } = this.#o;
    const collections = this.#selected(first).filter((collection) => state.collections.has(collection.id));
    const cuts = [...state.vchannels.values()];
    const findings: FileFinding[] = [];
    await session.begin({
      revision: first.revision,
      clusterId: first.clusterId,
      serverVersion: first.serverVersion,
      takenAtMs: first.takenAtMs,
      catalog: first.catalog,
      cuts,
      exactFrom: firstExactTs(first),
      collectionIds: collections.map((collection) => collection.id),
      findings,
    }, signal);
    for (const collection of collections) {
      const segments = liveSegments(first, collection);
      progress.expect(
        sink.name,
        collection,
        segments.length,
        segments.reduce((sum, segment) => sum + segment.rows, 0n),
      );
    }
    const demands = collections.flatMap((collection) => {
      const horizons = deleteHorizon(first, collection);
      return this.#cutsOf(collection).map((cut) => ({ cut, horizon: horizons.get(cut.vchannel) }));
    });
    const logDeletes = await readLogDeletes(deps, demands, signal);
    const done: BaseCollection[] = [];
    const failed: { id: bigint; name: string; reason: string }[] = [];
    let next = 0;
    const worker = async () => {
      while (next < collections.length) {
        const collection = collections[next++]!;
        try {
          const copied = await this.#collection(session, first, collection, logDeletes, findings, slots, signal);
          if (copied !== undefined) done.push(copied);
          const own = state.collections.get(collection.id);
          if (own !== undefined) own.phase = "tail";
        } catch (thrown) {
          if (signal.aborted) throw thrown;
          const error = toTidemarkError(thrown);
          failed.push({ id: collection.id, name: qualifiedName(collection), reason: error.message });
          this.#o.blocked(qualifiedName(collection), error);
        }
      }
    };
    const results = await Promise.allSettled(
      Array.from({ length: Math.min(collections.length, Math.max(4, deps.limits.baseParallelism)) }, worker),
    );
    for (const result of results) if (result.status === "rejected") throw result.reason;
    const report = await session.finishBase(done, failed, signal);
    deps.report.info(
      `Backup ${report.name}: ${report.objects} objects, ${report.bytes} bytes, ${report.sharedBytes} of them shared`,
    );
    return failed;
  }

  #cutsOf(collection: Collection): Cut[] {
    return collection.vchannels.flatMap((vchannel) => {
      const own = this.#o.state.vchannels.get(vchannel);
      return own === undefined ? [] : [own];
    });
  }

  /** Undefined if the source dropped the collection meanwhile: then it is not in the backup. */
  async #collection(
    session: BackupSession,
    first: Snapshot,
    wanted: Collection,
    logDeletes: LogDeletes,
    findings: FileFinding[],
    slots: Slots,
    signal: AbortSignal,
  ): Promise<BaseCollection | undefined> {
    const { deps, progress, sink } = this.#o;
    let snapshot = first;
    let collection = wanted;
    for (let attempt = 1;; attempt++) {
      try {
        const segments = liveSegments(snapshot, collection);
        const all = snapshot.segments.filter((segment) => segment.collectionId === collection.id);
        const files = await deps.binlogs.verify(collection.id, all, signal);
        if (attempt === 1) findings.push(...files.findings);
        const results = await Promise.allSettled(segments.map((segment) =>
          slots.run(async () => {
            signal.throwIfAborted();
            const forgotten = await this.#forgotten(collection, segment, logDeletes, files.deltaFiles, all, signal);
            const copy = await session.copySegment(segment, (file) => deps.binlogs.object(file), forgotten, signal);
            progress.written(Number(segment.rows), Number(copy.bytes - copy.sharedBytes));
            progress.segmentDone(sink.name, collection.id);
            deps.crash("between_segments");
          })
        ));
        for (const result of results) if (result.status === "rejected") throw result.reason;
        return { collection, segmentIds: segments.map((segment) => segment.id) };
      } catch (thrown) {
        if (signal.aborted) throw thrown;
        const error = toTidemarkError(thrown);
        if (error.code !== "not_found" || attempt === BASE_ATTEMPTS) throw error;
        deps.report.info(`${error.message}; reads the metadata again (attempt ${attempt + 1} of ${BASE_ATTEMPTS})`);
        snapshot = await deps.meta.snapshot(signal);
        const now = snapshot.catalog.collections.find((item) => item.id === collection.id);
        if (now === undefined) {
          deps.report.warn(
            `gone ${collection.id}`,
            `${qualifiedName(collection)} was dropped while it was copied; it is not in the backup`,
          );
          return undefined;
        }
        collection = now;
      }
    }
  }

  /** Deletes of rows in this segment that its own, named delta files do not hold. */
  async #forgotten(
    collection: Collection,
    segment: Segment,
    logDeletes: LogDeletes,
    deltaFiles: readonly LogFile[],
    all: readonly Segment[],
    signal: AbortSignal,
  ): Promise<DeleteMark[]> {
    const { deps } = this.#o;
    const marks: DeleteMark[] = (logDeletes.marks.get(segment.vchannel) ?? []).filter((mark) =>
      mark.partitionId === -1n || mark.partitionId === segment.partitionId
    );
    const named = new Set(
      all.flatMap((other) => other.deltalogs).flatMap((field) => field.files).map((file) => file.path),
    );
    for (const file of deltaFiles) {
      const owner = /delta_log\/\d+\/(-?\d+)\/(\d+)\//.exec(`${file.path}/`);
      const ofSegment = owner?.[2] === String(segment.id);
      if (ofSegment && named.has(file.path)) continue;
      const partition = owner === null ? -1n : BigInt(owner[1]!);
      if (partition !== -1n && partition !== segment.partitionId) continue;
      // What the log holds already, or another live segment's own file, adds nothing new, but is harmless.
      if (named.has(file.path) && marks.length > 0) continue;
      for await (const mark of deps.binlogs.deletes(file, signal)) marks.push(mark);
    }
    if (marks.length === 0) return [];
    const key = primaryKey(collection.schema);
    if (key === undefined) return marks;
    const keys = new Set<bigint | string>();
    for await (const batch of deps.binlogs.rows(segment, collection.schema, [key.fieldID], signal)) {
      const column = batch.columns.find((item) => item.fieldId === key.fieldID);
      if (column !== undefined) { for (const value of keysOfColumn(column).values) keys.add(value); }
    }
    return marks.map((mark) => only(mark, keys)).filter((mark) => mark.keys.values.length > 0);
  }

  /** Why a new base is due now. */
  due(): string | undefined {
    return this.#extra.complete ? this.#o.sink.due(this.session, this.#o.deps.now()) : undefined;
  }

  /** A new backup in the same run: its log begins at its own cuts, taken over from the old one's archive. */
  async rebase(snapshot: Snapshot, slots: Slots, signal: AbortSignal): Promise<void> {
    const { deps, sink, state } = this.#o;
    const before = this.session;
    const positions = new Map(state.positions);
    const after = await sink.open({ resume: undefined, previous: before.name, nowMs: deps.now() }, signal);
    this.learn(snapshot.catalog.collections);
    this.#newCuts(snapshot);
    for (const [pchannel, position] of positions) state.positions.set(pchannel, position);
    const failed = await this.#copyAll(after, snapshot, slots, signal);
    this.#baseFailed += failed.length;
    await this.#appends.run(async () => {
      await before.flushLog(signal);
      if (sink.logArchive) await after.adoptLog(before, signal);
      this.#session = after;
      this.#extra.previous = before.name;
      this.#extra.name = after.name;
      this.#extra.complete = true;
      await this.#remember();
    });
    await before.close();
  }

  async close(): Promise<void> {
    await this.#session?.close();
  }
}

function only(mark: DeleteMark, keys: ReadonlySet<bigint | string>): DeleteMark {
  const values: (bigint | string)[] = [];
  const timestamps: bigint[] = [];
  const all = mark.keys.values as readonly (bigint | string)[];
  for (let i = 0; i < all.length; i++) {
    if (!keys.has(all[i]!)) continue;
    values.push(all[i]!);
    timestamps.push(mark.timestamps[i]!);
  }
  return {
    partitionId: mark.partitionId,
    keys: mark.keys.kind === "int64"
      ? { kind: "int64", values: values as bigint[] }
      : { kind: "varchar", values: values as string[] },
    timestamps,
  };
}
