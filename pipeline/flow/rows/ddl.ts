/** What the log says beside rows: drops and truncates as barriers over a collection's vchannels, imports that finished. */
import { TidemarkError } from "../../errors.ts";
import { type DdlEvent, type HybridTs, qualifiedName } from "../../model/mod.ts";
import type { Barriers } from "./barriers.ts";
import { loadImport } from "../imports/mod.ts";
import type { LaneItem } from "./lane_work.ts";
import type { RowTailOptions } from "./tail_options.ts";
import { Held } from "./held.ts";
import { passTo, pchannelOf } from "../tail/mod.ts";
import { plural } from "../../units/mod.ts";

export interface LaneIdentity {
  readonly vchannel: string;
  readonly collectionId: bigint;
}

/** Of one collection; its channels are never so far apart. */
const BROADCASTS_NOTED = 64;

/** Thrown to whoever waits for a change that does not reach every channel: the vchannel goes on before it with the next run. */
export class Unfinished extends Error {}

type ImportItem = Extract<LaneItem, { kind: "import" }>;

export class RowDdl {
  readonly #o: RowTailOptions;
  readonly #barriers: Barriers;
  readonly #startOf: (vchannel: string) => HybridTs;
  readonly #dropped: (collectionId: bigint) => Promise<void>;
  /** Change -> vchannel -> when it is there. */
  readonly #copies = new Map<string, Map<string, HybridTs>>();

  /** `startOf`: events of a vchannel up to there are on the target; `dropped`: told when a collection was dropped there. */
  constructor(
    options: RowTailOptions,
    barriers: Barriers,
    startOf: (vchannel: string) => HybridTs,
    dropped: (collectionId: bigint) => Promise<void>,
  ) {
    this.#o = options;
    this.#barriers = barriers;
    this.#startOf = startOf;
    this.#dropped = dropped;
  }

  /** A change that lies on a vchannel's way. */
  announce({ vchannel, event }: Extract<LaneItem, { kind: "ddl" }>): void {
    const key = keyOf(event);
    if (key !== undefined) this.#barriers.announce(`${event.collectionId}:${key}`, vchannel);
  }

  /**
   * The log is read no further. What has not reached every channel by now is not applied; whoever reads next goes on before it.
   * `cut`: that is no end at which the copy would lack it, and nothing to tell.
   */
  end(cut: boolean): void {
    this.#barriers.end((key, missing, members) => {
      const [id, what = ""] = key.split(":");
      const own = this.#o.targets.state(BigInt(id!));
      if (this.#isDropped(BigInt(id!), missing)) return new Unfinished("Its collection was dropped");
      const name = own === undefined ? `collection ${id}` : `${own.source.db}.${own.source.name}`;
      const reason = `The ${NAMES[what] ?? what} of ${name} has reached ${members - missing.length} of its ${members} ${
        plural(members, "channel")
      } where this run ends (not yet ${missing.join(", ")}): it is not applied`;
      const hint = "The next run goes on before it and applies it once it has reached all of them.";
      if (cut) return new Unfinished(reason);
      if (what !== "drop") return new Held(new TidemarkError("unsupported", reason, { hint }));
      this.#o.deps.report.warn(`unfinished ${key}`, `${reason}. ${hint}`);
      return new Unfinished(reason);
    });
  }

  /**
   * Whether it is gone from the source, and a run that ends does not read the channels that lack the change because nothing
   * lives there any more: the run's end drops the copy, whatever became of the change before.
   */
  #isDropped(id: bigint, missing: readonly string[]): boolean {
    const { targets } = this.#o;
    if (targets.live(id) !== undefined) return false;
    const ticking = new Set(targets.catalog.collections.flatMap(({ pchannels }) => pchannels));
    return missing.every((vchannel) => !ticking.has(pchannelOf(vchannel)));
  }

  /** A change that `lane`'s vchannel reached. Throws {@link Held} for one that cannot be carried. */
  async apply(lane: LaneIdentity, event: DdlEvent): Promise<void> {
    const { targets } = this.#o;
    switch (event.operation) {
      case "create_collection":
      case "create_partition":
      case "replicate":
        // Made from the metadata; the record says nothing more.
        return;
      case "drop_collection":
        return await this.#change(lane, event, async () => {
          await targets.dropCollection(lane.collectionId);
          await this.#dropped(lane.collectionId);
        });
      case "drop_partition":
        return await this.#change(lane, event, async () => {
          for (const id of event.partitionIds) await targets.dropPartition(lane.collectionId, id, event.partitionName);
        });
      case "truncate_collection":
        return await this.#change(lane, event, async () => {
          await targets.truncate(lane.collectionId);
        });
      case "import":
        // Only files are named here; the metadata says when their rows count.
        return;
      case "alter_collection": {
        const live = targets.live(lane.collectionId);
        if (live !== undefined) await targets.reconcileAll(live, false);
        return;
      }
      case "other":
        throw new Held(
          new TidemarkError(
            "unsupported",
            `The log holds ${event.typeName} (${event.type}) for this collection, which cannot be carried`,
          ),
        );
    }
  }

  /**
   * What destroys rows. In generation 1 its copies have one timestamp, so that a channel that begins behind it has passed it. A
   * broadcast has one on each channel: which channels have it says itself, and whether it was done says the state, since a
   * channel whose copy is checkpointed does not bring it again. Before 2.6.5 a drop is written to each channel by itself, at a
   * time of its own and without a number: what it drops is dropped once, so that names it.
   */
  async #change(lane: LaneIdentity, event: DdlEvent, action: () => Promise<void>): Promise<void> {
    const key = keyOf(event)!;
    const { broadcast, ts, generation, partitionIds, collectionId } = event;
    if (broadcast === undefined && generation === 1) {
      return await this.#barrier(lane, key, ts, event.operation, action);
    }
    const id = broadcast?.id ?? partitionIds[0] ?? collectionId;
    const { targets, save } = this.#o;
    const done = () => targets.state(lane.collectionId)?.broadcastsDone;
    if (done()?.includes(id) === true) return this.#barriers.forget(`${lane.collectionId}:${key}`);
    const copies = this.#copies.get(`${lane.collectionId}:${key}`) ?? new Map<string, HybridTs>();
    this.#copies.set(`${lane.collectionId}:${key}`, copies.set(lane.vchannel, ts));
    const own = this.#membersOf(lane);
    const members = own.filter((vchannel) =>
      vchannel === lane.vchannel || broadcast?.vchannels.includes(vchannel) !== false
    );
    await this.#shown(lane, key, event.operation, () =>
      this.#barriers.arrive(
        `${lane.collectionId}:${key}`,
        ts,
        lane.vchannel,
        members,
        // Nobody says which channels lack it: one that begins behind this copy has passed its own, give or take what goes anyway.
        (member) => broadcast === undefined && this.#startOf(member) >= ts,
        async () => {
          await action();
          const noted = done();
          if (noted === undefined) return;
          noted.push(id);
          noted.splice(0, noted.length - BROADCASTS_NOTED);
          // What it destroyed is not to come again from a position before it: it would not be destroyed a second time.
          this.#pass(lane.collectionId, copies);
          this.#copies.delete(`${lane.collectionId}:${key}`);
          await save();
        },
      ));
  }

  /** A channel that stands for long before a change is seen to. */
  #shown(lane: LaneIdentity, key: string, what: string, work: () => Promise<void>): Promise<void> {
    const { deps, targets } = this.#o;
    const { collectionId } = lane;
    const source = targets.state(collectionId)?.source;
    const collection = source === undefined ? `collection ${collectionId}` : `${source.db}.${source.name}`;
    const reason = () => {
      const missing = this.#barriers.missingAt(`${collectionId}:${key}`);
      const name = what.replaceAll("_", " ");
      return missing.length === 0
        ? `The target is doing a ${name}; what comes behind it in the log waits`
        : `A ${name} waits until ${missing.join(", ")} has reached it in the log`;
    };
    return deps.waits.during({ component: "sources.log", collection, aside: true }, reason, work);
  }

  /** An import that finished: once, when every vchannel stands still. */
  load(lane: LaneIdentity, item: ImportItem): Promise<void> {
    const key = `import:${item.task.id}`;
    return this.#barrier(lane, key, 0n, `import ${item.task.id}`, () => this.loadAlone(item));
  }

  /** The same where no lane goes on any more. */
  async loadAlone({ task, upTo, from }: Pick<ImportItem, "task" | "upTo" | "from">): Promise<void> {
    const { deps, targets, setup, save, signal } = this.#o;
    const own = targets.state(task.collectionId);
    const collection = targets.live(task.collectionId);
    if (own === undefined || collection === undefined || own.importsDone.includes(task.id)) return;
    const rows = await loadImport(deps, { task, collection, own, setup, upTo, from }, signal);
    deps.report.info(`Import ${task.id} of ${qualifiedName(collection)}: ${rows} ${plural(rows, "row")} loaded`);
    const before = own.importsUpTo ?? {};
    const later = [...upTo].filter(([pchannel, ts]) => ts > (before[pchannel] ?? 0n));
    own.importsUpTo = { ...before, ...Object.fromEntries(later) };
    own.importsDone.push(task.id);
    own.importSegments?.push(...task.segmentIds);
    own.importsFound = own.importsFound.filter(({ ts }) => ts !== task.rowsAt);
    own.importsUnderWay = own.importsUnderWay.filter(({ id }) => id !== task.id);
    // Deletes of before it are not to come again from a position before them: they would take its rows, which nobody loads again.
    const { vchannels, pchannels } = collection;
    if (new Set(pchannels).size === pchannels.length) {
      this.#pass(collection.id, vchannels.map((vchannel, i) => [vchannel, upTo.get(pchannels[i]!) ?? 0n]));
    }
    await save();
    this.#o.applied(collection.id, rows, 0);
  }

  #barrier(
    state: LaneIdentity,
    key: string,
    ts: HybridTs,
    what: string,
    action: () => Promise<void>,
  ): Promise<void> {
    const members = this.#membersOf(state);
    return this.#shown(state, key, what, () =>
      this.#barriers.arrive(
        `${state.collectionId}:${key}`,
        ts,
        state.vchannel,
        members,
        (member) => ts !== 0n && this.#startOf(member) >= ts,
        action,
      ));
  }

  /** All of the log up to there is on the target. */
  #pass(collectionId: bigint, places: Iterable<readonly [vchannel: string, ts: HybridTs]>): void {
    const { state, targets } = this.#o;
    const starts = targets.live(collectionId)?.startOffsets;
    for (const [vchannel, ts] of places) {
      passTo(state, { vchannel, collectionId, ts, start: starts?.get(pchannelOf(vchannel)) ?? 0n });
    }
  }

  #membersOf(state: LaneIdentity): string[] {
    const live = this.#o.targets.live(state.collectionId);
    if (live !== undefined) return [...live.vchannels];
    const known = this.#o.targets.state(state.collectionId)?.vchannels;
    return known === undefined || known.length === 0 ? [state.vchannel] : [...known];
  }
}

/** Of a change that destroys rows, among those of its collection; copies on other channels have the same. */
function keyOf({ operation, partitionIds, broadcast, ts }: DdlEvent): string | undefined {
  switch (operation) {
    case "drop_collection":
      return "drop";
    case "drop_partition":
      return `partition:${partitionIds.join(",")}`;
    case "truncate_collection":
      return `truncate:${broadcast?.id ?? ts}`;
    default:
      return undefined;
  }
}

const NAMES: Readonly<Record<string, string>> = {
  drop: "drop",
  partition: "drop of a partition",
  truncate: "truncation",
};
