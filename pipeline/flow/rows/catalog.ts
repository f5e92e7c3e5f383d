/** The metadata's side of a row sink's tail: what is made, altered or imported, and drops that the log does not tell. */
import {
  type CatalogChange,
  type Collection,
  msOfHybrid,
  qualifiedName,
  type ResumePoint,
  type Snapshot,
} from "../../model/mod.ts";
import { AwaitedImports, type RowsEnd } from "./awaited_imports.ts";
import { refuseDamaged } from "./damaged.ts";
import type { TailShared } from "./tail_shared.ts";
import type { SourceImport } from "../imports/mod.ts";
import { pchannelOf } from "../tail/mod.ts";
import { reconcileRbac } from "./rbac.ts";
import type { RowTailOptions } from "./tail_options.ts";

export class RowCatalog {
  readonly #o: RowTailOptions;
  readonly #shared: TailShared;
  readonly #silentSince = new Map<bigint, number>();
  readonly #imports: AwaitedImports;
  /** No run has brought users and roles so far. */
  #first: boolean;

  constructor(options: RowTailOptions, shared: TailShared) {
    this.#o = options;
    this.#shared = shared;
    this.#first = options.state.positions.size === 0;
    this.#imports = new AwaitedImports(options, shared);
  }

  /** The catalog changed: new collections, reconciles, imports. Errors of one collection hold that collection. */
  async changed(change: CatalogChange): Promise<void> {
    const { deps, targets } = this.#o;
    targets.update(change.catalog, change.revision);
    const seen = new Map(change.catalog.collections.map((collection) => [collection.id, collection]));
    for (const id of change.changed) {
      const collection = targets.live(id);
      if (collection === undefined || !this.#selected(collection)) continue;
      await this.#shared.guard(collection.id, qualifiedName(collection), async () => {
        if (this.#shared.notCarried.get(id) === "unselected") this.#sayPassedOver(collection);
        if (this.#shared.notCarried.has(id)) return;
        const known = targets.state(id);
        if (known?.phase === "base") return;
        refuseDamaged(seen.get(id) ?? collection);
        if (known === undefined && this.#nameBusy(collection)) return;
        await this.#bring(collection);
      });
    }
    // What was renamed has left its name to one that may have been passed over.
    if (change.changed.length > 0) await this.nameIsFree();
    await this.#imports.announce(change.importsCompleted);
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
      if (found.state === "live") targets.learn(found.collection, found.revision);
      if (found.state === "live" || found.state === "creating") continue;
      await this.#shared.guard(own.id, `${own.source.db}.${own.source.name}`, async () => {
        await targets.dropCollection(own.id);
        this.#shared.notCarried.set(own.id, "gone");
        this.#shared.barriers.release(`${own.id}:`);
        await this.nameIsFree();
      });
    }
  }

  /** Imports that completed; their rows are brought once the log is applied up to where they count. */
  announceImports(tasks: readonly SourceImport[], taken?: Snapshot): Promise<void> {
    return this.#imports.announce(tasks, taken);
  }

  /** How far the log of a vchannel is applied, or on its way to it. */
  enteredTo(vchannel: string): ResumePoint {
    return this.#shared.enteredTo(vchannel);
  }

  /** Runs work whose errors hold only that collection. */
  guarded(id: bigint, name: string, work: () => Promise<void>): Promise<boolean> {
    return this.#shared.guard(id, name, work);
  }

  /** The lanes have come further, or the log is known to be silent. */
  releaseImports(): void {
    this.#imports.release();
  }

  /** The lanes are over: brings what was announced too late for them. */
  importRest(tasks: readonly SourceImport[], end: RowsEnd): Promise<void> {
    return this.#imports.rest(tasks, end);
  }

  /** A collection was made on the target by the tail: what was imported into it meanwhile can be brought. */
  isThere(id: bigint): Promise<void> {
    return this.#imports.isThere(id);
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
    await this.isThere(collection.id);
    await targets.reconcileAll(collection, false);
  }

  /** It came into the selection by a new name: what it held before can only come by a base. */
  #sayPassedOver(collection: Collection): void {
    this.#o.deps.report.warn(
      `passed over ${collection.id}`,
      `${
        qualifiedName(collection)
      } is selected since it got its name: this run has passed over its rows, and the next start copies it`,
    );
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
