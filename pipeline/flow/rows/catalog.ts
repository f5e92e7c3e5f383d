/** The metadata's side of a row sink's tail: what is made, altered or imported, and drops that the log does not tell. */
import {
  type CatalogChange,
  type Collection,
  type HybridTs,
  type ImportTask,
  msOfHybrid,
  qualifiedName,
  type ResumePoint,
} from "../../model/mod.ts";
import type { Barriers } from "./barriers.ts";
import type { LaneItem } from "./lane_work.ts";
import { pchannelOf } from "../tail/mod.ts";
import { reconcileRbac } from "./rbac.ts";
import type { RowTailOptions } from "./tail_options.ts";

/**
 * Why the events of a collection are only acknowledged. `gone`: it was dropped, or is not selected; `held`: it goes on from
 * its own resume points with the next run; `later`: its base, whose cuts are its resume points, is still to come or goes on.
 */
export type NotCarried = "gone" | "held" | "later";

/** Whether its own resume points stay where they are. */
export function standsStill(stopped: NotCarried | undefined): boolean {
  return stopped === "held" || stopped === "later";
}

/** What the lanes and the catalog's side both work on. */
export interface TailShared {
  readonly notCarried: Map<bigint, NotCarried>;
  readonly barriers: Barriers;
  /** pchannel -> how far its groups have entered the lanes. */
  readonly before: ReadonlyMap<string, ResumePoint>;
  /** Runs work whose errors hold only that collection. */
  readonly guard: (id: bigint, name: string, work: () => Promise<void>) => Promise<boolean>;
  /** Puts an item into a lane. */
  readonly announce: (item: LaneItem) => void;
  /** Brings the rows of an import, once. */
  readonly load: (task: ImportTask, upTo: ReadonlyMap<string, HybridTs>) => Promise<void>;
}

export class RowCatalog {
  readonly #o: RowTailOptions;
  readonly #shared: TailShared;
  readonly #silentSince = new Map<bigint, number>();
  /** Collection -> imports that completed before it was there. */
  readonly #early = new Map<bigint, ImportTask[]>();
  /** No run has brought users and roles so far. */
  #first: boolean;

  constructor(options: RowTailOptions, shared: TailShared) {
    this.#o = options;
    this.#shared = shared;
    this.#first = options.state.positions.size === 0;
  }

  /** The catalog changed: new collections, reconciles, imports. Errors of one collection hold that collection. */
  async changed(change: CatalogChange): Promise<void> {
    const { deps, targets } = this.#o;
    targets.update(change.catalog);
    for (const id of change.changed) {
      const collection = targets.live(id);
      if (collection === undefined || !this.#selected(collection)) continue;
      await this.#shared.guard(collection.id, qualifiedName(collection), async () => {
        if (this.#shared.notCarried.has(id)) return;
        const known = targets.state(id);
        if (known?.phase === "base") return;
        if (known === undefined && this.#nameBusy(collection)) return;
        await this.#bring(collection);
      });
    }
    // What was renamed has left its name to one that may have been passed over.
    if (change.changed.length > 0) await this.nameIsFree();
    for (const task of change.importsCompleted) this.#announceImport(task);
    if (change.rbacChanged && deps.rbac) {
      const { setup: { sink }, state, save, signal } = this.#o;
      await reconcileRbac(deps, { sink, state, save }, change.catalog, this.#first, signal);
      this.#first = false;
    }
    this.#o.changed();
  }

  /**
   * Drops what the source dropped and whose record will not come: on pchannels that no longer tick, or where the record
   * passed before the collection was known. `passedMs`: a record cannot be later than this after the metadata says so.
   */
  async dropSilent(ticking: ReadonlySet<string>, afterMs: number, passedMs: number, now: number): Promise<void> {
    const { deps, targets, state, signal } = this.#o;
    for (const own of [...state.collections.values()]) {
      // Its name was needed, or another run dropped it: then not every vchannel is followed to its record.
      if (own.phase === "dropped") this.#shared.barriers.release(`${own.id}:`);
      if (this.#shared.notCarried.get(own.id) === "later") continue;
      if (own.phase === "dropped" || targets.live(own.id) !== undefined) {
        this.#silentSince.delete(own.id);
        continue;
      }
      const since = this.#silentSince.get(own.id) ?? now;
      this.#silentSince.set(own.id, since);
      const waiting = this.#shared.barriers.waitingAt(`${own.id}:drop`);
      const silent = own.vchannels.every((vchannel) => {
        const pchannel = pchannelOf(vchannel);
        const tick = state.positions.get(pchannel)?.tick ?? 0n;
        return !ticking.has(pchannel) || waiting.has(vchannel) || msOfHybrid(tick) >= since + passedMs;
      });
      if (!silent || now - since < afterMs) continue;
      // The catalog may be older than what a lane has looked up: only etcd itself says that it is gone.
      const found = await deps.meta.lookup(own.id, signal);
      if (found.state === "live") targets.learn(found.collection);
      if (found.state === "live" || found.state === "creating") continue;
      await this.#shared.guard(own.id, `${own.source.db}.${own.source.name}`, async () => {
        await targets.dropCollection(own.id);
        this.#shared.notCarried.set(own.id, "gone");
        this.#shared.barriers.release(`${own.id}:`);
        await this.nameIsFree();
      });
    }
  }

  /** Imports that completed while no run looked. */
  announceImports(tasks: readonly ImportTask[]): void {
    for (const task of tasks) if (task.state === "completed") this.#announceImport(task);
  }

  /** The lanes are over: brings what was announced too late for them. */
  async importRest(tasks: readonly ImportTask[]): Promise<void> {
    const { state, targets } = this.#o;
    const upTo = new Map([...state.positions].map(([pchannel, { tick }]) => [pchannel, tick]));
    for (const task of tasks) {
      const own = state.collections.get(task.collectionId);
      if (own === undefined || own.phase !== "tail" || own.importsDone.includes(task.id)) continue;
      if (this.#shared.notCarried.has(own.id) || targets.live(own.id) === undefined) continue;
      const { db, name } = own.source;
      await this.#shared.guard(own.id, `${db}.${name}`, () => this.#shared.load(task, upTo));
    }
  }

  #announceImport(task: ImportTask): void {
    const own = this.#o.state.collections.get(task.collectionId);
    if (own === undefined) {
      const early = this.#early.get(task.collectionId) ?? [];
      if (early.some(({ id }) => id === task.id)) return;
      return void this.#early.set(task.collectionId, [...early, task]);
    }
    if (own.phase !== "tail" || own.importsDone.includes(task.id)) return;
    const collection = this.#o.targets.live(task.collectionId);
    if (collection === undefined) return;
    // All of the collection's lanes get it in one turn, so all stand at the same point of the log.
    const upTo = new Map([...this.#shared.before].map(([pchannel, resume]) => [pchannel, resume.tick]));
    for (const vchannel of collection.vchannels) {
      this.#shared.announce({ kind: "import", vchannel, ticket: undefined, task, upTo });
    }
  }

  /** A collection was made on the target by the tail: what was imported into it meanwhile can be brought. */
  isThere(id: bigint): void {
    const early = this.#early.get(id) ?? [];
    this.#early.delete(id);
    for (const task of early) this.#announceImport(task);
  }

  /** While behind in the log, a name may still belong to a collection that the source has dropped by now. */
  #nameBusy(collection: Collection): boolean {
    const { targets, state } = this.#o;
    const target = targets.wantedName(collection);
    return [...state.collections.values()].some((other) =>
      other.id !== collection.id && other.phase !== "dropped" && other.target.db === target.db &&
      other.target.name === target.name
    );
  }

  async #bring(collection: Collection): Promise<void> {
    const { targets } = this.#o;
    const own = await targets.ensure(collection, "tail", false);
    // The log may have brought its end while it was made.
    if (this.#shared.notCarried.get(collection.id) === "gone") return await targets.dropCollection(collection.id);
    if (own === undefined) return;
    this.isThere(collection.id);
    await targets.reconcileAll(collection, false);
  }

  #selected(collection: Collection): boolean {
    return this.#o.deps.selects(collection.dbName, collection.name);
  }

  /** A collection that waited for a name can have it now. */
  async nameIsFree(): Promise<void> {
    const { targets } = this.#o;
    for (const collection of targets.catalog.collections) {
      const { id } = collection;
      if (targets.state(id) !== undefined || this.#shared.notCarried.has(id)) continue;
      if (!this.#selected(collection) || this.#nameBusy(collection)) continue;
      await this.#shared.guard(id, qualifiedName(collection), () => this.#bring(collection));
    }
  }
}
