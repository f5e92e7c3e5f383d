/**
 * The tail of one row sink: groups of the log become batches per vchannel, applied in order within a vchannel and in
 * parallel across them, with barriers where rows are destroyed. What cannot be applied holds its collection, never the
 * others.
 */
import { concatAll, EMPTY, filter, from, groupBy, map, merge, mergeMap, type Observable, Subject } from "rxjs";
import { TidemarkError, toTidemarkError } from "../../errors.ts";
import {
  type BlockEvent,
  type HybridTs,
  type LogEvent,
  qualifiedName,
  type ResumePoint,
  type Silence,
  type TickGroup,
} from "../../model/mod.ts";
import { foldEvents } from "../../transforms/mod.ts";
import { AckLedger } from "./ack_ledger.ts";
import { awaitedCollection } from "./awaited_collection.ts";
import { Barriers } from "./barriers.ts";
import { lane } from "./lane.ts";
import { inConflict, type LaneItem, type LaneState, type LaneWork, splitGroup, type Ticket } from "./lane_work.ts";
import { collectionOf, pchannelOf, placeOf, startsOf, type TailConsumer } from "../tail/mod.ts";
import { RowCatalog } from "./catalog.ts";
import { type NotCarried, notCarriedFrom, standsStill } from "./tail_shared.ts";
import { RowDdl, Unfinished } from "./ddl.ts";
import { RowWriter } from "./writer.ts";
import type { SinkState } from "../state/mod.ts";
import { foldTarget } from "./fold_target.ts";
import { PredicateDeletes } from "./predicates.ts";
import { Held } from "./held.ts";
import type { RowTailOptions } from "./tail_options.ts";

/** End of the name of the channel that carries changes of the whole cluster. */
const CONTROL_CHANNEL = "_vcchan";
/** Largest number of vchannels that work at once; a collection has 1 to 16. */
const MAX_LANES = 65536;

export class RowTail implements TailConsumer {
  readonly records = false;
  /** What the metadata says, beside the log. */
  readonly catalog: RowCatalog;
  readonly #o: RowTailOptions;
  readonly #lanes = new Map<string, LaneState>();
  readonly #ledgers = new Map<string, AckLedger>();
  readonly #before = new Map<string, ResumePoint>();
  /** pchannel -> nothing up to here is new to any vchannel. */
  readonly #done = new Map<string, HybridTs>();
  /** pchannel -> up to when its log has nothing behind its last group. */
  readonly #silentTo = new Map<string, HybridTs>();
  readonly #barriers = new Barriers();
  readonly #starts: ReadonlyMap<string, HybridTs>;
  readonly #control = new Subject<LaneItem>();
  /** Collections whose events are only acknowledged: dropped, not selected, held, or not begun. */
  readonly #notCarried = new Map<bigint, NotCarried>();
  readonly #writer: RowWriter;
  readonly #ddl: RowDdl;
  readonly #predicates: PredicateDeletes;
  #appliedOnce = false;

  constructor(options: RowTailOptions) {
    this.#o = options;
    this.#starts = startsOf(options.state);
    this.#writer = new RowWriter(options);
    this.#predicates = new PredicateDeletes(options);
    this.catalog = new RowCatalog(options, {
      notCarried: this.#notCarried,
      barriers: this.#barriers,
      enteredTo: (vchannel) => this.#enteredTo(vchannel),
      silentTo: this.#silentTo,
      guard: (id, name, work) => this.#guard(id, name, work),
      announce: (item) => this.#control.next(item),
      load: (item) => this.#ddl.loadAlone(item),
    });
    this.#ddl = new RowDdl(
      options,
      this.#barriers,
      (vchannel) => this.#startOf(vchannel, pchannelOf(vchannel)),
      (id) => {
        this.#notCarried.set(id, "gone");
        return this.catalog.nameIsFree();
      },
    );
    for (const [id, why] of notCarriedFrom(options)) this.#notCarried.set(id, why);
    for (const own of options.state.collections.values()) {
      if (options.targets.later.has(own.id)) continue;
      if (own.phase === "dropped") this.#notCarried.set(own.id, "gone");
      // Its base failed: the tail must not pass it by.
      else if (own.blocked !== undefined || own.phase === "base") this.#markHeld(own.id);
    }
  }

  get state(): SinkState {
    return this.#o.state;
  }

  cares(collectionId: bigint): boolean {
    const stopped = this.#notCarried.get(collectionId);
    return stopped === undefined || stopped === "held";
  }

  /** The offset tells a held vchannel what to repeat. */
  startsAt(pchannel: string, { offset, tick }: ResumePoint): void {
    this.#before.set(pchannel, { offset, tick: 0n });
    this.#done.set(pchannel, tick);
  }

  /** The stream may have begun earlier, for another sink: that must not take this one's positions back. */
  needs({ pchannel, tick }: TickGroup): boolean {
    return tick > (this.#done.get(pchannel) ?? 0n);
  }

  /** Where all is done, the place to go on from moves with the log's end, so that retention does not pass it. */
  stands(group: TickGroup): void {
    const { pchannel, tick, resume, end } = group;
    this.catalog.releaseImports();
    if ((this.#ledgers.get(pchannel)?.pending ?? 0) > 0 || end?.waiting !== undefined || tick === 0n) return;
    const position = this.#o.state.positions.get(pchannel);
    if (position !== undefined && (position.tick !== tick || position.offset >= resume.offset)) return;
    this.#advance(group);
  }

  /** Nothing of up to that moment is still to come. */
  silent(pchannel: string, { ts }: Silence): void {
    if (ts > (this.#silentTo.get(pchannel) ?? 0n)) this.#silentTo.set(pchannel, ts);
    this.catalog.releaseImports();
  }

  #enteredTo(vchannel: string): ResumePoint {
    const pchannel = pchannelOf(vchannel);
    const { offset, tick } = this.#before.get(pchannel) ?? placeOf(this.#o.state, vchannel);
    const done = [this.#done.get(pchannel) ?? 0n, this.#startOf(vchannel, pchannel)];
    return { offset, tick: done.reduce((max, ts) => ts > max ? ts : max, tick) };
  }

  /** Groups in, nothing out: everything it does is acknowledged through the options. Errors end the run. */
  run(groups: Observable<TickGroup>): Observable<never> {
    const items = groups.pipe(map((group) => from(this.#enter(group))), concatAll());
    return merge(items, this.#control).pipe(
      groupBy((item) => item.vchannel),
      mergeMap((items$) => {
        const state = this.#laneOf(items$.key);
        return items$.pipe(lane<LaneItem, LaneWork, void>({
          depth: this.#o.deps.limits.laneDepth,
          ready: this.#admit(state),
          prepare: (queue) => this.#prepare(state, queue),
          conflicts: inConflict,
          run: (work) => this.#run(state, work),
        }));
      }, MAX_LANES),
      filter((_done): _done is never => false),
      mergeMap(() => EMPTY, 1),
    );
  }

  /** No more imports will be announced. */
  closeControl(cut: boolean): void {
    this.#control.complete();
    this.#ddl.end(cut);
  }

  #enter(group: TickGroup): LaneItem[] {
    const { pchannel } = group;
    // What came before this group is in the lanes by now.
    this.catalog.releaseImports();
    const before = this.#before.get(pchannel) ?? { offset: group.resume.offset, tick: 0n };
    const ticket: Ticket = { group, before };
    this.#before.set(pchannel, group.resume);
    for (const event of group.events) if (event.kind === "block") this.#onControl(event);
    const items = splitGroup(
      ticket,
      (event) => this.#vchannelOf(event, pchannel),
      (vchannel, ts) => ts > this.#startOf(vchannel, pchannel),
      () => this.#vchannelsOn(pchannel),
    );
    let ledger = this.#ledgers.get(pchannel);
    if (ledger === undefined) {
      this.#ledgers.set(pchannel, ledger = new AckLedger((done) => this.#advance(done)));
    }
    ledger.open(group, items.length);
    for (const item of items) if (item.kind === "ddl") this.#ddl.announce(item);
    return items;
  }

  /** A drop of generation 1 does not say its vchannel, and may be older than what this run knows of its collection. */
  #vchannelOf(event: LogEvent, pchannel: string): string {
    if (event.vchannel !== "" || event.kind !== "ddl") return event.vchannel;
    const { targets } = this.#o;
    const id = event.collectionId;
    const vchannels = targets.state(id)?.vchannels ?? targets.live(id)?.vchannels;
    const found = vchannels?.find((vchannel) => pchannelOf(vchannel) === pchannel);
    // Dropped before it was made here: then it must not be made when the metadata's older news comes.
    if (found === undefined && event.operation === "drop_collection") this.#leave(id);
    return found ?? "";
  }

  /** The control channel carries no rows: what cannot be read there concerns the collection that it names, or nobody knows whom. */
  #onControl(event: BlockEvent): void {
    if (!event.vchannel.endsWith(CONTROL_CHANNEL)) return;
    const own = this.#o.targets.state(event.collectionId);
    if (own === undefined) return void this.#o.deps.report.warn(`control ${event.offset}`, event.reason);
    this.#block(own.id, `${own.source.db}.${own.source.name}`, new TidemarkError("unsupported", event.reason));
  }

  #vchannelsOn(pchannel: string): string[] {
    const { targets } = this.#o;
    return targets.catalog.collections.filter(({ id }) => targets.state(id) !== undefined)
      .flatMap(({ pchannels, vchannels }) => vchannels.filter((_, i) => pchannels[i] === pchannel));
  }

  #startOf(vchannel: string, pchannel: string): HybridTs {
    return this.#starts.get(vchannel) ?? this.#starts.get(pchannel) ?? 0n;
  }

  #advance(group: TickGroup): void {
    const { state, acknowledged, changed } = this.#o;
    const { pchannel, tick, resume } = group;
    const position = state.positions.get(pchannel);
    // While vchannels that were held catch up, the pchannel's own position stays where it is.
    if (position === undefined || tick >= position.tick) {
      state.positions.set(pchannel, resume);
      for (const [vchannel, own] of state.vchannels) {
        if (own.pchannel !== pchannel || standsStill(this.#notCarried.get(own.collectionId))) continue;
        if (own.ts <= tick) state.vchannels.delete(vchannel);
      }
    } else {
      for (const own of state.vchannels.values()) {
        if (own.pchannel !== pchannel || !own.held || own.ts >= tick) continue;
        if (standsStill(this.#notCarried.get(own.collectionId))) continue;
        own.ts = tick;
        own.offset = resume.offset;
      }
    }
    this.#o.deps.crash("between_ack_and_checkpoint");
    acknowledged(group);
    changed();
  }

  #laneOf(vchannel: string): LaneState {
    const existing = this.#lanes.get(vchannel);
    if (existing !== undefined) return existing;
    const state: LaneState = { vchannel, collectionId: collectionOf(vchannel), fold: undefined, carried: false };
    this.#lanes.set(vchannel, state);
    return state;
  }

  /** Before a lane's first event: is the collection carried, and is it on the target? */
  async #admit(state: LaneState): Promise<void> {
    const { deps, targets, signal } = this.#o;
    const id = state.collectionId;
    const own = targets.state(id);
    if (["later", "unselected"].includes(this.#notCarried.get(id) ?? "")) return;
    if (own?.phase === "dropped") return this.#leave(id);
    const known = targets.live(id);
    const found = known === undefined ? await awaitedCollection(deps, id, signal) : undefined;
    const collection = known ?? found?.collection;
    if (collection === undefined) {
      // Doomed: the source has dropped it already. What it still has in the log matters to nobody, its drop does.
      if (own === undefined) this.#leave(id);
      return;
    }
    if (found !== undefined) targets.learn(collection, found.revision);
    if (!deps.selects(collection.dbName, collection.name) && own === undefined) return this.#leave(id, "unselected");
    const carried = collection;
    await this.#guard(id, qualifiedName(carried), async () => {
      const made = await targets.ensure(carried, "tail", false);
      if (made === undefined) return this.#leave(id);
      await this.catalog.isThere(id);
      if (own === undefined) await targets.reconcileAll(carried, false);
      state.fold = foldTarget(carried);
      state.carried = true;
    });
  }

  #leave(id: bigint, why: NotCarried = "gone"): void {
    if (!this.#notCarried.has(id)) this.#notCarried.set(id, why);
  }

  #prepare(state: LaneState, queue: readonly LaneItem[]): { work: LaneWork; used: number } {
    const first = queue[0]!;
    const stopped = this.#notCarried.get(state.collectionId);
    if (stopped !== undefined) {
      if (stopped === "held") this.#hold(state, queue);
      return { work: { kind: "discard", items: queue }, used: queue.length };
    }
    if (first.kind !== "rows") return { work: { kind: "alone", items: [first] }, used: 1 };
    const { batchRows, batchBytes } = this.#o.deps.limits;
    let used = 0;
    let rows = 0;
    let bytes = 0;
    const events = [];
    while (used < queue.length) {
      const item = queue[used]!;
      if (item.kind !== "rows" || (used > 0 && (rows + item.rows > batchRows || bytes + item.bytes > batchBytes))) {
        break;
      }
      rows += item.rows;
      bytes += item.bytes;
      events.push(item.events);
      used++;
    }
    const items = queue.slice(0, used);
    // Doomed: its collection is gone from the source, only its drop is still to come.
    if (!state.carried || state.fold === undefined) return { work: { kind: "discard", items }, used };
    return { work: { kind: "rows", items, batch: foldEvents(events.flat(), state.fold) }, used };
  }

  async #run(state: LaneState, work: LaneWork): Promise<void> {
    const { deps } = this.#o;
    const stopped = this.#notCarried.get(state.collectionId); // Perhaps since this was prepared.
    if (work.kind !== "discard" && stopped === "held") this.#hold(state, work.items);
    if (work.kind !== "discard" && stopped === undefined) {
      const own = this.#o.targets.state(state.collectionId);
      const name = own === undefined ? `collection ${state.collectionId}` : `${own.source.db}.${own.source.name}`;
      if (!this.#appliedOnce) deps.crash("before_first_batch");
      const done = await this.#guard(state.collectionId, name, () => this.#do(state, work));
      if (!done) this.#hold(state, work.items);
      if (!this.#appliedOnce && work.kind === "rows") {
        this.#appliedOnce = true;
        deps.crash("after_first_batch");
      }
      deps.crash("between_write_and_ack");
    }
    for (const item of work.items) {
      if (item.ticket === undefined) continue;
      const { group } = item.ticket;
      this.#ledgers.get(group.pchannel)!.acknowledge(group);
    }
  }

  async #do(state: LaneState, work: Exclude<LaneWork, { kind: "discard" }>): Promise<void> {
    if (work.kind === "rows") {
      const events = () => work.items.flatMap((item) => item.kind === "rows" ? item.events : []);
      return await this.#writer.write(state.collectionId, work.batch, state.fold!, events);
    }
    const item = work.items[0]!;
    switch (item.kind) {
      case "rows":
        return;
      case "block":
        return await this.#predicates.apply(item.event);
      case "import":
        return await this.#ddl.load(state, item);
      case "ddl":
        return await this.#ddl.apply(state, item.event);
    }
  }

  /** Runs `work`; what only concerns this collection holds it, everything else ends the run. False if it is held. */
  async #guard(id: bigint, name: string, work: () => Promise<void>): Promise<boolean> {
    try {
      await work();
      return true;
    } catch (thrown) {
      if (thrown instanceof Unfinished) {
        this.#markHeld(id);
        return false;
      }
      const error = thrown instanceof Held ? thrown.error : toTidemarkError(thrown);
      const ours = thrown instanceof Held || error.code === "refused" || error.code === "unsupported" ||
        error.code === "damaged" || error.code === "target_not_empty" || error.code === "not_found";
      if (!ours || this.#o.signal.aborted) throw thrown;
      this.#block(id, name, error);
      return false;
    }
  }

  #block(id: bigint, name: string, error: TidemarkError): void {
    if (this.#notCarried.get(id) === "held") return;
    this.#markHeld(id);
    const own = this.#o.targets.state(id);
    if (own !== undefined) own.blocked = error.message;
    this.#barriers.abandon(`${id}:`, new Held(error));
    this.#o.blocked(name, error);
    this.#o.changed();
  }

  #markHeld(id: bigint): void {
    this.#notCarried.set(id, "held");
    for (const own of this.#o.state.vchannels.values()) if (own.collectionId === id) own.held = true;
  }

  /** A held vchannel remembers where its first unapplied group begins; the next run goes on there. */
  #hold(state: LaneState, items: readonly LaneItem[]): void {
    const first = items.find((item) => item.ticket !== undefined)?.ticket;
    if (first === undefined) return;
    const { vchannels } = this.#o.state;
    const own = vchannels.get(state.vchannel);
    if (own?.held === true && own.ts <= first.before.tick) return;
    const starts = [this.#startOf(state.vchannel, first.group.pchannel), own?.ts ?? 0n, first.before.tick];
    vchannels.set(state.vchannel, {
      vchannel: state.vchannel,
      pchannel: first.group.pchannel,
      collectionId: state.collectionId,
      offset: first.before.offset,
      ts: starts.reduce((max, ts) => ts > max ? ts : max),
      held: true,
    });
  }
}
