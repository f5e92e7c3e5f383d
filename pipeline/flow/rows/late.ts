/**
 * Collections that cannot begin with the others: an import is under way, the source's checkpoint lies before the log's
 * beginning, the metadata of one is torn, a truncation has reached some of its channels and stands there: the tail would not
 * see the copies that a base has passed. Only these wait, each by name; when one can begin, its base is copied beside the
 * tail of the others, and it joins them.
 */
import type { TidemarkError } from "../../errors.ts";
import { type Collection, qualifiedName, type Snapshot } from "../../model/mod.ts";
import { beginGate } from "../../transforms/mod.ts";
import type { Slots } from "../base/mod.ts";
import type { FlowDependencies } from "../dependencies.ts";
import { pause } from "../../pause.ts";
import { untilSettled } from "../selection.ts";
import { staleCuts } from "../tail/mod.ts";
import { preflight } from "./preflight.ts";
import { Postponed, type Postponement } from "./postponed.ts";
import type { RowLeg } from "./leg.ts";
import type { SinkState } from "../state/mod.ts";
import type { Targets } from "./targets.ts";

export interface LateOptions {
  readonly deps: FlowDependencies;
  readonly save: () => Promise<void>;
  readonly blocked: (collection: string, error: TidemarkError) => void;
  readonly legs: readonly { readonly row: RowLeg; readonly targets: Targets; readonly state: SinkState }[];
}

const FIRST_LOOK_MS = 1_000;
const LONGEST_LOOK_MS = 10_000;

export class LateCollections {
  readonly #o: LateOptions;
  readonly #postponed: Postponed;

  constructor(options: LateOptions) {
    this.#o = options;
    this.#postponed = new Postponed(options.deps.waits);
  }

  get size(): number {
    return this.#postponed.size;
  }

  put(collection: Collection, why: Postponement): void {
    const known = this.#postponed.has(collection.id);
    this.#postponed.put(collection, why);
    if (known) return;
    this.#o.deps.report.warn(
      `later ${collection.id}`,
      `${qualifiedName(collection)} cannot be copied yet, the others go on: ${why.reason}`,
    );
  }

  /** All but these can begin now. */
  keep(waiting: ReadonlyMap<bigint, Postponement>): void {
    for (const { id } of this.#postponed.collections) if (!waiting.has(id)) this.#postponed.release(id);
  }

  /** Which of `collections` cannot be copied from this snapshot, and why. */
  async notYet(
    snapshot: Snapshot,
    collections: readonly Collection[],
    { withoutLog, restore }: { readonly withoutLog: boolean; readonly restore: boolean },
    signal: AbortSignal,
  ): Promise<Map<bigint, Postponement>> {
    const found = new Map<bigint, Postponement>();
    for (const [id, { kind, reason }] of beginGate(snapshot, collections)) {
      found.set(id, { component: "sources.meta", kind, reason });
    }
    if (withoutLog || restore || this.#o.deps.steps !== undefined) return found;
    const cutless = this.#cutless(snapshot);
    const fresh = collections.filter(({ id }) => !found.has(id) && cutless.has(id));
    for (const [id, reason] of await staleCuts(this.#o.deps.log, snapshot, fresh, signal)) {
      found.set(id, { component: "sources.log", kind: "position", reason });
    }
    for (const change of snapshot.unsettled ?? []) {
      // A drop takes all of it, wherever the base began.
      if (!cutless.has(change.collectionId) || change.typeName === "DropCollection") continue;
      found.set(change.collectionId, { component: "sources.meta", kind: "metadata", reason: untilSettled(change) });
    }
    return found;
  }

  /** Those that some sink needs a base of and has no cuts of: a base that was begun keeps its own. */
  #cutless(snapshot: Snapshot): Set<bigint> {
    const ids = new Set<bigint>();
    for (const { row, state } of this.#o.legs) {
      for (const { id, vchannels } of row.needsBase(snapshot)) {
        if (!vchannels.every((vchannel) => state.vchannels.has(vchannel))) ids.add(id);
      }
    }
    return ids;
  }

  /**
   * Looks again until some can begin and copies their bases. Resolves with the snapshot of these once they are ready to join
   * the tail, or undefined when none waits any more. `ends`: for a run that ends only what passes by itself is waited for.
   */
  async bring(slots: Slots, { ends }: { readonly ends: boolean }, signal: AbortSignal): Promise<Snapshot | undefined> {
    const { deps } = this.#o;
    for (let looks = 0; this.size > 0; looks++) {
      if (ends && !this.#postponed.collections.some(({ id }) => this.#postponed.get(id)!.kind === "import")) return;
      await pause(Math.min(LONGEST_LOOK_MS, FIRST_LOOK_MS * 2 ** Math.min(looks, 10)), signal);
      const snapshot = await deps.meta.snapshot(signal);
      const ready = await this.#ready(snapshot, signal);
      if (ready.length === 0) continue;
      await this.#base(snapshot, ready, slots, signal);
      return snapshot;
    }
    return undefined;
  }

  /** The run ends without those that still wait. */
  leave(): void {
    for (const collection of this.#postponed.collections) {
      this.#o.blocked(qualifiedName(collection), this.#postponed.errorOf(collection.id));
      this.#postponed.release(collection.id);
    }
  }

  async #ready(snapshot: Snapshot, signal: AbortSignal): Promise<Collection[]> {
    const live = new Map(snapshot.catalog.collections.map((collection) => [collection.id, collection]));
    const waiting: Collection[] = [];
    for (const { id } of this.#postponed.collections) {
      const now = live.get(id);
      if (now !== undefined) waiting.push(now);
      else this.#release(id);
    }
    const notYet = await this.notYet(snapshot, waiting, { withoutLog: false, restore: false }, signal);
    const unsettled = new Map(snapshot.unsettled?.map((change) => [change.collectionId, change]));
    return waiting.filter((collection) => {
      const { id } = collection;
      const change = unsettled.get(id);
      // That it waits for a moment for this, too, is no reason for a run that ends to leave it.
      const why = change === undefined ? notYet.get(id) : { ...this.#postponed.get(id)!, reason: untilSettled(change) };
      if (why !== undefined) this.put(collection, why);
      return why === undefined;
    });
  }

  async #base(snapshot: Snapshot, ready: readonly Collection[], slots: Slots, signal: AbortSignal): Promise<void> {
    const { deps, legs, blocked, save } = this.#o;
    for (const { id } of ready) this.#postponed.release(id);
    const wanted = legs.map((leg) => ({ leg, collections: ready.filter(({ id }) => leg.targets.later.has(id)) }));
    for (const { leg, collections } of wanted) {
      for (const collection of collections) leg.targets.learn(collection, snapshot.revision);
      leg.row.fixCuts(snapshot, collections, true);
    }
    await save();
    await preflight(deps, snapshot, ready, signal);
    await using _gc = await deps.binlogs.pauseGc(signal);
    const results = await Promise.allSettled(
      wanted.map(({ leg, collections }) => leg.row.base(snapshot, collections, slots, blocked, signal)),
    );
    for (const result of results) if (result.status === "rejected") throw result.reason;
    for (const { id } of ready) for (const { targets } of legs) targets.later.delete(id);
    await save();
  }

  #release(id: bigint): void {
    this.#postponed.release(id);
    for (const { targets } of this.#o.legs) targets.later.delete(id);
  }
}
