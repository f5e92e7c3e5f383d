/**
 * Which source collection is what on the target. Identity is the source's collection id; the name on the target belongs
 * to one id at a time, and every change of that is in the state before and after it is made, so that drop-and-recreate
 * under one name, renames in a ring and a crash in between all end right.
 */
import {
  type Catalog,
  type Collection,
  type DdlOutcome,
  type DdlStep,
  forget,
  type TargetName,
} from "../../model/mod.ts";
import { liveOf, refuseDamaged } from "./damaged.ts";
import type { FlowDependencies, RowSinkSetup } from "../dependencies.ts";
import { Beside } from "./beside.ts";
import { verdictOf } from "../../transforms/mod.ts";
import { clashError, isReplaced, keptError, makeRoom, refuseForeign } from "./existing_target.ts";
import { Held } from "./held.ts";
import { Mutex } from "../mutex.ts";
import { isAllowed, passRefusal } from "./ddl_decisions.ts";
import { SharedGate } from "../tail/mod.ts";
import { type CollectionState, newCollectionState, type SinkState } from "../state/mod.ts";
import { StructureSteps } from "./structure_steps.ts";
import { hasMade } from "./whose.ts";

export interface TargetsOptions {
  readonly deps: FlowDependencies;
  readonly setup: RowSinkSetup;
  readonly state: SinkState;
  /** Makes the state durable. */
  readonly save: () => Promise<void>;
  readonly changed: () => void;
  readonly signal: AbortSignal;
  readonly refused: DdlOutcome[];
}

export class Targets {
  readonly #o: TargetsOptions;
  readonly #steps: StructureSteps;
  readonly #structure = new Mutex();
  readonly #perCollection = new Map<bigint, Mutex>();
  readonly #gates = new Map<bigint, SharedGate>();
  /** What rows do not wait for. */
  readonly beside: Beside;
  /** Collections that need a base which could not begin yet, or goes on beside the tail of the others. */
  readonly later = new Set<bigint>();
  /** Live collections by id, each as of the newest that is known of it. */
  #live = new Map<bigint, Collection>();
  /** Those that a lookup told of before the watch did, which may be far behind, and the revision of that. */
  readonly #learned = new Map<bigint, { readonly collection: Collection; readonly revision: bigint }>();
  #catalog: Catalog;

  constructor(options: TargetsOptions, catalog: Catalog) {
    this.#o = options;
    this.#catalog = catalog;
    this.#steps = new StructureSteps({
      ...options,
      live: (id) => this.live(id),
      beside: (own, outcomes, initial) => this.beside.note(own, outcomes, initial),
    });
    this.update(catalog, 0n);
    const { deps, setup, state, changed } = options;
    const again = async (id: bigint, initial: boolean) => {
      const collection = this.#live.get(id);
      if (collection !== undefined) await this.reconcileAll(collection, initial);
    };
    this.beside = new Beside({ deps, setup, state, changed, again });
  }

  /** `catalog` as of `revision` of the metadata. What is known to be newer stays, and what was known of one that is damaged. */
  update(catalog: Catalog, revision: bigint): void {
    this.#catalog = catalog;
    this.#live = liveOf(catalog, this.#live);
    for (const [id, learned] of this.#learned) {
      if (learned.revision > revision) this.#live.set(id, learned.collection);
      else this.#learned.delete(id);
    }
  }

  get catalog(): Catalog {
    return this.#catalog;
  }

  live(id: bigint): Collection | undefined {
    return this.#live.get(id);
  }

  /** A collection that a lookup found before the watch told of it, as of `revision`. */
  learn(collection: Collection, revision: bigint | undefined): void {
    const { id } = collection;
    const known = this.#learned.get(id);
    if (known !== undefined && revision !== undefined && known.revision > revision) return;
    this.#live.set(id, collection);
    if (revision !== undefined) this.#learned.set(id, { collection, revision });
  }

  state(id: bigint): CollectionState | undefined {
    return this.#o.state.collections.get(id);
  }

  /** Runs writes of a collection: no rename or drop of it takes place meanwhile. They must not ask for {@link ensure}. */
  writing<T>(id: bigint, work: () => Promise<T>): Promise<T> {
    return this.#gate(id).shared(work);
  }

  #gate(id: bigint): SharedGate {
    let gate = this.#gates.get(id);
    if (gate === undefined) this.#gates.set(id, gate = new SharedGate());
    return gate;
  }

  wantedName(collection: Collection): TargetName {
    return this.#o.deps.route(collection.dbName, collection.name);
  }

  /**
   * Makes sure that the collection and its partitions exist on the target under their name. Returns its state, or
   * undefined if it is not to be carried (dropped there, or its creation is left out by policy).
   * `initial`: part of the first copy, which the DDL policy does not concern.
   */
  ensure(collection: Collection, phase: "base" | "tail", initial: boolean): Promise<CollectionState | undefined> {
    return this.#structure.run(() => this.#ensure(collection, phase, initial, new Set()));
  }

  async #ensure(
    collection: Collection,
    phase: "base" | "tail",
    initial: boolean,
    underWay: Set<bigint>,
  ): Promise<CollectionState | undefined> {
    const { deps, setup, state, save, signal } = this.#o;
    refuseDamaged(collection);
    const target = this.wantedName(collection);
    const source = { db: collection.dbName, name: collection.name };
    let own = state.collections.get(collection.id);
    if (own?.phase === "dropped") return undefined;
    if (own !== undefined && own.phase !== "creating" && same(own.target, target)) {
      own.source = source;
      await this.#steps.apply(collection, own, undefined, "structure", initial);
      return own;
    }
    underWay.add(collection.id);
    if (own !== undefined && !same(own.target, target)) {
      await this.#free(target, collection, underWay);
      own.source = source;
      await this.#rename(collection, own, target, initial);
      return own;
    }
    if (own === undefined) {
      await this.#free(target, collection, underWay);
      const there = await setup.sink.state(target, signal);
      // Where the name is an alias, whose it is decides: see the sink's plan.
      const taken = there.exists && await setup.sink.identity(target, signal) !== undefined;
      const room = taken ? await makeRoom(deps, setup, collection, target, there.rows, signal) : "free";
      own = newCollectionState(collection.id, source, target, collection.vchannels, "creating");
      if (room !== "merged") own.made.add("collection");
      state.collections.set(collection.id, own);
      await save();
    }
    deps.crash("inside_reconcile");
    await this.#steps.apply(collection, own, undefined, "structure", initial);
    const identity = await setup.sink.identity(target, signal);
    if (identity === undefined) {
      // Left out by policy: nothing of it is on the target, and nothing will be.
      own.phase = "dropped";
      await save();
      return undefined;
    }
    own.identity = identity;
    own.phase = phase;
    await save();
    return own;
  }

  /**
   * Indexes, aliases, load state, properties; after the base and at every change. What the target refuses of indexes and
   * load state is no matter of the rows: {@link beside} tries it again.
   */
  reconcileAll(collection: Collection, initial: boolean): Promise<void> {
    return this.#mutex(collection.id).run(async () => {
      const own = this.#o.state.collections.get(collection.id);
      if (own === undefined || own.phase === "dropped") return;
      await this.#steps.apply(collection, own, undefined, "all", initial);
    });
  }

  /** Applied by the barrier: drops what this source collection is on the target, whatever its name now. */
  dropCollection(id: bigint): Promise<void> {
    return this.#structure.run(async () => {
      const own = this.#o.state.collections.get(id);
      if (own === undefined || own.phase === "dropped") return;
      await this.#drop(own);
    });
  }

  dropPartition(id: bigint, partitionId: bigint, partition: string): Promise<void> {
    return this.#changing(id, async () => {
      const { setup, save, signal, deps } = this.#o;
      const own = this.#o.state.collections.get(id);
      if (own === undefined || own.phase === "dropped" || own.partitionsDropped.includes(partitionId)) return;
      const step: DdlStep = {
        kind: "drop_partition",
        collectionId: id,
        sentence: `Drop partition ${partition} of ${own.target.db}.${own.target.name}`,
        destructive: true,
      };
      if (!isAllowed(deps, step, own)) return;
      if (await this.#steps.lacksPartition(partition, own)) {
        deps.crash("inside_barrier");
        own.partitionsDropped.push(partitionId);
        own.refusedRows.leavePartition(partitionId);
        return await save();
      }
      await this.#steps.refuseNotMade("drop_partition", { kind: "partition", name: partition }, step, own);
      // Before it goes: after a crash in between, another one of that name may be made.
      own.partitions = own.partitions.filter((name) => name !== partition);
      await save();
      deps.crash("inside_barrier");
      try {
        await setup.sink.dropPartition(own.target, partition, signal);
        deps.report.ddl({ ...step, result: "applied", detail: "" });
      } catch (error) {
        passRefusal(this.#o, step, own, error);
        return;
      }
      own.partitionsDropped.push(partitionId);
      own.refusedRows.leavePartition(partitionId);
      forget(own.made, { kind: "partition", name: partition });
      await save();
      // Another partition of that name may live on the source by now.
      const live = this.#live.get(id);
      if (live?.partitions.some((other) => other.name === partition && other.id !== partitionId)) {
        await this.#steps.apply(live, own, undefined, "structure", false);
      }
    });
  }

  /** Deletes all rows, by the policy. */
  truncate(id: bigint): Promise<void> {
    return this.#changing(id, async () => {
      const { setup, deps, save, signal } = this.#o;
      const own = this.#o.state.collections.get(id);
      if (own === undefined || own.phase === "dropped") return;
      const step: DdlStep = {
        kind: "truncate_collection",
        collectionId: id,
        sentence: `Truncate ${own.target.db}.${own.target.name}`,
        destructive: true,
      };
      if (!isAllowed(deps, step, own)) return;
      // A run that died behind the drop that follows: what is to be truncated went with it.
      const there = await setup.sink.identity(own.target, signal);
      if (there === undefined && (await deps.meta.lookup(id, signal)).state !== "live") return;
      await this.#steps.refuseNotMade("truncate_collection", { kind: "collection" }, step, own);
      deps.crash("inside_barrier");
      try {
        // It may be dropped and made anew for it.
        own.identity = "";
        own.partitions = [];
        await save();
        await setup.sink.truncate(own.target, signal);
        own.refusedRows.clear();
        own.identity = await setup.sink.identity(own.target, signal) ?? "";
        this.beside.lookAgain(own);
        deps.report.ddl({ ...step, result: "applied", detail: "" });
      } catch (error) {
        passRefusal(this.#o, step, own, error);
      }
    });
  }

  /** Drops what the run made of a collection and forgets it, so that it is copied afresh, or stays gone if its source is. */
  startOver(own: CollectionState): Promise<void> {
    return this.#structure.run(async () => {
      const { setup, state, save, signal } = this.#o;
      const step = dropStep(own);
      if (await setup.sink.identity(own.target, signal) !== undefined) {
        await this.#steps.refuseNotMade("begin_anew", { kind: "collection" }, step, own);
        await setup.sink.dropCollection(own.target, signal);
      }
      state.collections.delete(own.id);
      await save();
    });
  }

  #drop(own: CollectionState): Promise<void> {
    return this.#mutex(own.id).run(() => this.#dropAlone(own));
  }

  async #dropAlone(own: CollectionState): Promise<void> {
    const { setup, save, signal, deps } = this.#o;
    const step = dropStep(own);
    if (!isAllowed(deps, step, own)) return;
    if (!hasMade(own, { kind: "collection" }, setup.onExisting) && verdictOf("drop_collection", "foreign") === "left") {
      const detail = "it was there before this run, with rows of others: it stays";
      deps.report.ddl({ ...step, result: "skipped", detail });
      return;
    }
    deps.crash("inside_barrier");
    const replaced = await isReplaced(setup, own, signal);
    if (replaced) deps.report.ddl({ ...step, result: "skipped", detail: "another one has its name there by now" });
    const dropped = await this.#gate(own.id).exclusive(async () => {
      try {
        if (!replaced) await setup.sink.dropCollection(own.target, signal);
      } catch (error) {
        passRefusal(this.#o, step, own, error);
        return false;
      }
      own.phase = "dropped";
      return true;
    });
    if (!dropped) return;
    if (!replaced) deps.report.ddl({ ...step, result: "applied", detail: "" });
    own.segmentsBegun = [];
    own.segmentsDone = [];
    own.blocked = undefined;
    own.refusedRows.clear();
    await save();
  }

  /** Nobody else may have `target` when `collection` takes it. */
  async #free(target: TargetName, collection: Collection, underWay: Set<bigint>): Promise<void> {
    for (const other of this.#o.state.collections.values()) {
      if (other.id === collection.id || other.phase === "dropped" || !same(other.target, target)) continue;
      const live = this.#live.get(other.id);
      if (live === undefined) {
        // The source dropped it before it made this one, though the record of that may still be ahead in the log.
        await this.#drop(other);
        if (same(other.target, target) && (other.phase as string) !== "dropped") {
          throw new Held(keptError(target));
        }
        continue;
      }
      const next = this.wantedName(live);
      if (same(next, target)) {
        throw new Held(clashError(live, collection, target));
      }
      if (underWay.has(other.id)) {
        // A ring of renames: step aside under a name of our own; its turn comes.
        const aside = { db: target.db, name: `${target.name}_tidemark_${other.id}` };
        await this.#rename(live, other, aside, true);
        continue;
      }
      await this.#ensure(live, "tail", false, underWay);
      if (same(other.target, target)) {
        await this.#rename(live, other, { db: target.db, name: `${target.name}_tidemark_${other.id}` }, true);
      }
    }
  }

  #rename(collection: Collection, own: CollectionState, to: TargetName, initial: boolean): Promise<void> {
    return this.#mutex(own.id).run(() => this.#renameAlone(collection, own, to, initial));
  }

  /** Where it is going to is durable before the target is asked: a crash leaves it under one of two known names. */
  async #renameAlone(collection: Collection, own: CollectionState, to: TargetName, initial: boolean): Promise<void> {
    const { setup, save, signal, deps } = this.#o;
    let held: Held | undefined;
    await refuseForeign(setup, own, to, signal);
    own.renaming = to;
    await save();
    await this.#gate(own.id).exclusive(async () => {
      try {
        await this.#steps.apply(collection, own, own.target, "structure", initial, to);
      } catch (error) {
        // It may have been a later step that was refused.
        if (!(error instanceof Held)) throw error;
        held = error;
      }
      deps.crash("inside_rename");
      // The gate may have left the rename out: then the target keeps its name.
      if (await setup.sink.identity(to, signal) !== undefined) own.target = to;
      own.renaming = undefined;
    });
    await save();
    if (held !== undefined) throw held;
  }

  /** Not while what is there is compared with what is wanted: that would go on with what was there before. */
  #changing(id: bigint, work: () => Promise<void>): Promise<void> {
    return this.#structure.run(() => this.#mutex(id).run(work));
  }

  /** Held after {@link #structure}, never before it. */
  #mutex(id: bigint): Mutex {
    let mutex = this.#perCollection.get(id);
    if (mutex === undefined) this.#perCollection.set(id, mutex = new Mutex());
    return mutex;
  }
}

function dropStep({ id, target: { db, name } }: CollectionState): DdlStep {
  return { kind: "drop_collection", collectionId: id, sentence: `Drop collection ${db}.${name}`, destructive: true };
}

function same(a: TargetName, b: TargetName): boolean {
  return a.db === b.db && a.name === b.name;
}
