/**
 * One row sink that follows without a log: each step brings its collections from their last cut to that of a new snapshot. What a
 * step is made of, and why it is exact, says `transforms/step.ts`.
 */
import { equals } from "@bufbuild/protobuf";
import { type TidemarkError, toTidemarkError } from "../../errors.ts";
import { refuseDamaged } from "./damaged.ts";
import { type Catalog, type Collection, type HybridTs, qualifiedName, type Snapshot } from "../../model/mod.ts";
import { forgottenSegment, planStep, type StepPlan } from "../../transforms/mod.ts";
import { type BaseJob, copyBase, refuseWrongRoot, type Slots } from "../base/mod.ts";
import type { FlowDependencies, RowSinkSetup } from "../dependencies.ts";
import { formatJson } from "../../json.ts";
import { CollectionSchemaSchema } from "../../proto/gen/schema_pb.ts";
import type { CollectionState, FilesState, RunProgress, SinkState } from "../state/mod.ts";
import type { Databases } from "./databases.ts";
import { DeltaTimes } from "./delta_times.ts";
import { filesOf } from "./files.ts";
import { Held } from "./held.ts";
import { SegmentPrints } from "./segment_prints.ts";
import { sweep } from "./sweep.ts";
import { reconcileRbac } from "./rbac.ts";
import type { Targets } from "./targets.ts";

export interface RowStepsOptions {
  readonly deps: FlowDependencies;
  readonly setup: RowSinkSetup;
  readonly state: SinkState;
  readonly targets: Targets;
  readonly databases: Databases;
  readonly progress: RunProgress;
  readonly save: () => Promise<void>;
  readonly changed: () => void;
  readonly blocked: (collection: string, error: TidemarkError) => void;
}

/** Attempts at a step whose files vanish because the source compacts under it, each with fresh metadata. */
const ATTEMPTS = 5;

export class RowSteps {
  readonly #o: RowStepsOptions;
  readonly #times = new DeltaTimes();
  readonly #prints = new SegmentPrints();
  /** What the target was last made like: collection id -> its print. */
  readonly #structure = new Map<bigint, Collection>();
  #databases = "";
  #rbacPrint = "";

  constructor(options: RowStepsOptions) {
    this.#o = options;
  }

  /** Brings all that is on the sink to the snapshot's cuts. What cannot be carried holds its collection, never the others. */
  async step(snapshot: Snapshot, slots: Slots, signal: AbortSignal): Promise<void> {
    const { state, targets } = this.#o;
    targets.update(snapshot.catalog, snapshot.revision);
    await this.#dropGone(snapshot.catalog, signal);
    for (const collection of snapshot.catalog.collections) {
      signal.throwIfAborted();
      const own = state.collections.get(collection.id);
      if (own === undefined || own.phase !== "tail" || own.blocked !== undefined) continue;
      await this.#guard(own, qualifiedName(collection), () => this.#bring(snapshot, collection.id, own, slots, signal));
    }
    await this.#rbac(snapshot.catalog, signal);
  }

  async #rbac(catalog: Catalog, signal: AbortSignal): Promise<void> {
    const { deps, setup: { sink }, state, save } = this.#o;
    if (!deps.rbac) return;
    const print = formatJson(catalog.rbac);
    if (print === this.#rbacPrint) return;
    // The run's first copy has brought them.
    if (this.#rbacPrint !== "") await reconcileRbac(deps, { sink, state, save }, catalog, false, signal);
    this.#rbacPrint = print;
  }

  async #dropGone(catalog: Catalog, signal: AbortSignal): Promise<void> {
    const { deps, state, targets, databases } = this.#o;
    const print = formatJson(catalog.databases);
    if (print !== this.#databases) await databases.reconcile(catalog);
    this.#databases = print;
    for (const own of [...state.collections.values()]) {
      if (own.phase === "dropped" || own.blocked !== undefined || targets.live(own.id) !== undefined) continue;
      const found = await deps.meta.lookup(own.id, signal);
      if (found.state === "live" || found.state === "creating") continue;
      await this.#guard(own, `${own.source.db}.${own.source.name}`, async () => {
        await targets.dropCollection(own.id);
        this.#forget(own);
      });
    }
    await databases.dropGone();
  }

  #forget(own: CollectionState): void {
    for (const vchannel of own.vchannels) this.#o.state.vchannels.delete(vchannel);
    // What the policy lets stay is not asked about at every step.
    own.phase = "dropped";
    own.files = undefined;
    this.#o.changed();
  }

  async #bring(
    first: Snapshot,
    id: bigint,
    own: CollectionState,
    slots: Slots,
    signal: AbortSignal,
  ): Promise<void> {
    const { deps } = this.#o;
    let snapshot = first;
    for (let attempt = 1;; attempt++) {
      const collection = snapshot.catalog.collections.find((item) => item.id === id);
      if (collection === undefined) return;
      try {
        await this.#shape(collection, own);
        return await this.#rows(snapshot, collection, own, slots, signal);
      } catch (thrown) {
        const error = thrown instanceof Held ? thrown.error : toTidemarkError(thrown);
        if (signal.aborted || thrown instanceof Held || error.code !== "not_found") throw thrown;
        await refuseWrongRoot(deps, signal);
        if (attempt === ATTEMPTS) {
          // The next step begins where this one did.
          deps.report.info(`${error.message}; tries again with the next step`);
          return;
        }
        snapshot = await deps.meta.snapshot(signal);
        this.#o.targets.update(snapshot.catalog, snapshot.revision);
      }
    }
  }

  /** Its definition, partitions, indexes and load state, where they changed since the last step. */
  async #shape(collection: Collection, own: CollectionState): Promise<void> {
    const { targets, save } = this.#o;
    // Partitions that cannot be read are not gone.
    refuseDamaged(collection);
    const files = filesState(own, collection);
    const truncated = [...collection.truncated ?? []].filter(([vchannel, ts]) =>
      ts > (files.truncated[vchannel] ?? 0n)
    );
    if (truncated.length > 0) {
      // Whatever is alive was written later; all of it is brought again.
      for (const vchannel of collection.vchannels) this.#setCut(vchannel, 0n);
      await save();
      await targets.truncate(own.id);
      files.truncated = Object.fromEntries(collection.truncated!);
      await save();
    }
    const before = this.#structure.get(own.id);
    if (before !== undefined && sameShape(before, collection)) return;
    const live = new Set(collection.partitions.map(({ id }) => id));
    for (const { id, name } of files.partitions) if (!live.has(id)) await targets.dropPartition(own.id, id, name);
    files.partitions = collection.partitions.map(({ id, name }) => ({ id, name }));
    await save();
    const made = await targets.ensure(collection, "tail", false);
    if (made !== undefined) await targets.reconcileAll(collection, false);
    this.#structure.set(own.id, collection);
  }

  async #rows(
    snapshot: Snapshot,
    collection: Collection,
    own: CollectionState,
    slots: Slots,
    signal: AbortSignal,
  ): Promise<void> {
    const { deps, setup, state, save } = this.#o;
    const files = filesState(own, collection);
    const cuts = new Map(collection.vchannels.map((name) => [name, state.vchannels.get(name)?.ts ?? 0n]));
    const plan = planStep(snapshot, collection, { cuts, segments: new Set(files.segments) });
    const still = this.#prints.unchanged(snapshot, collection, plan.live);
    // No window, and nothing came or went that the next one has to know of.
    if (!plan.moves && (still || sameSegments(files, plan))) return;
    const least = [...plan.after.values()].reduce((min, ts) => ts < min ? ts : min);
    if (still && plan.segments.length === 0 && !this.#times.reaches(own.id, least)) {
      this.#done(plan, collection, own, files);
      return this.#o.changed();
    }
    await using _gc = await deps.binlogs.pauseGc(signal);
    const found = await filesOf(deps, snapshot, collection, plan.live, signal, plan.segments);
    const known = new Set([...files.segments, ...files.begun]);
    const forgotten = forgottenSegment(snapshot, collection, known, (file) => found.listed(file) !== undefined);
    const begun = new Set([...files.begun, ...plan.live.map(({ id }) => id)]);
    if (begun.size !== files.begun.length) {
      files.begun = [...begun];
      // Before the first row: whoever goes on from here must know whose rows may be on the target.
      await save();
    }
    const job: BaseJob = {
      collection,
      own,
      setup,
      cuts: plan.cuts,
      after: plan.after,
      segments: plan.segments,
      logDeletes: new Map(),
      deltaFiles: found.deltaFiles.filter((file) => this.#times.mayReach(file, least)),
      channelOfSegment: found.channelOfSegment,
      resumed: true,
      bulk: undefined,
    };
    const noting = { ...deps, binlogs: this.#times.noting(deps.binlogs, own.id) };
    if (forgotten !== undefined) {
      await this.#sweep(noting, { ...job, segments: plan.live, deltaFiles: found.deltaFiles }, forgotten, signal);
    }
    deps.crash("inside_step");
    await copyBase(noting, job, this.#progressOf(own.id), slots, signal);
    this.#done(plan, collection, own, files);
    await save();
    this.#prints.note(snapshot, collection, plan);
  }

  async #sweep(deps: FlowDependencies, job: BaseJob, why: string, signal: AbortSignal): Promise<void> {
    const { collection } = job;
    const removed = await sweep(deps, job, why, signal);
    deps.report.info(
      `${
        qualifiedName(collection)
      }: ${why}, so the target's keys were compared with the files: ${removed} were removed`,
    );
  }

  #done({ cuts, live, unsettled }: StepPlan, collection: Collection, own: CollectionState, files: FilesState): void {
    for (const { vchannel, ts } of cuts) this.#setCut(vchannel, ts, collection);
    files.segments = live.map(({ id }) => id);
    files.begun = [...unsettled];
    own.source = { db: collection.dbName, name: collection.name };
  }

  #setCut(vchannel: string, ts: HybridTs, collection?: Collection): void {
    const { vchannels } = this.#o.state;
    const own = vchannels.get(vchannel);
    if (own !== undefined) own.ts = ts;
    else if (collection !== undefined) {
      const pchannel = collection.pchannels[collection.vchannels.indexOf(vchannel)]!;
      vchannels.set(vchannel, { vchannel, pchannel, collectionId: collection.id, offset: 0n, ts, held: false });
    }
  }

  #progressOf(id: bigint) {
    const { progress, setup: { sink }, save } = this.#o;
    return {
      planned: () => {},
      written: (rows: number) => progress.applied(sink.name, id, rows, 0),
      removed: (keys: number) => progress.applied(sink.name, id, 0, keys),
      segmentBegun: () => Promise.resolve(),
      segmentDone: () => Promise.resolve(),
      importing: () => {},
      save,
    };
  }

  /** Runs `work`; what only concerns this collection holds it until the next run. */
  async #guard(own: CollectionState, name: string, work: () => Promise<void>): Promise<void> {
    try {
      await work();
    } catch (thrown) {
      const error = thrown instanceof Held ? thrown.error : toTidemarkError(thrown);
      if (error.code === "torn") return this.#o.deps.report.info(`${error.message}; looks again with the next step`);
      const ours = thrown instanceof Held || error.code === "refused" || error.code === "unsupported" ||
        error.code === "damaged" || error.code === "target_not_empty";
      if (!ours) throw thrown;
      own.blocked = error.message;
      this.#o.blocked(name, error);
      this.#o.changed();
    }
  }
}

function filesState(own: CollectionState, { partitions }: Collection): FilesState {
  return own.files ??= {
    segments: [],
    begun: [],
    partitions: partitions.map(({ id, name }) => ({ id, name })),
    truncated: {},
  };
}

/** They are as the last step left them. */
function sameSegments({ segments, begun }: FilesState, { live, unsettled }: StepPlan): boolean {
  const [known, open] = [new Set(segments), new Set(unsettled)];
  return known.size === live.length && live.every(({ id }) => known.has(id)) &&
    begun.every((id) => known.has(id) || open.has(id));
}

function sameShape(a: Collection, b: Collection): boolean {
  return a === b || (printOf(a) === printOf(b) && equals(CollectionSchemaSchema, a.schema, b.schema));
}

function printOf(
  { schema: _schema, startOffsets: _offsets, truncated: _truncated, truncatedAt: _truncatedAt, ...rest }: Collection,
): string {
  return formatJson(rest);
}
