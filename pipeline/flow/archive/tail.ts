/** The tail of an archive sink: every record of the selected collections' channels, in offset order, kept as it was. */
import { concatAll, EMPTY, filter, from, groupBy, map, mergeMap, type Observable } from "rxjs";
import type {
  ArchivedRecord,
  BackupSession,
  HybridTs,
  LoggedAlteration,
  ResumePoint,
  Silence,
  TickGroup,
} from "../../model/mod.ts";
import type { DescribeRecord } from "../dependencies.ts";
import type { ArchiveLife } from "./life.ts";
import { addDrop, collectionOf, type TailConsumer } from "../tail/mod.ts";
import { lane } from "../rows/mod.ts";
import { noteTopic } from "./extra.ts";
import type { SinkState } from "../state/mod.ts";

const MAX_PCHANNELS = 4096;
/** Groups that go into one append. */
const GROUPS_AT_ONCE = 64;

export interface ArchiveTailOptions {
  readonly session: () => BackupSession;
  readonly state: SinkState;
  readonly describe: DescribeRecord;
  /** Whether records of this collection belong into the archive. */
  readonly wanted: (collectionId: bigint) => boolean;
  readonly acknowledged: (group: TickGroup) => void;
  /** `moved`: where a restart goes on has. */
  readonly changed: (moved: boolean) => void;
  /** The archive durably has all of a pchannel's log up to this moment. */
  readonly whole: (pchannel: string, tick: HybridTs) => void;
  readonly silent: (pchannel: string, silence: Silence) => void;
  /** Held while a new base takes the log over. */
  readonly appending: <T>(work: () => Promise<T>) => Promise<T>;
  readonly life: Pick<ArchiveLife, "error" | "keep" | "signal">;
}

/** What records say of collections. */
interface Told {
  readonly drops: Map<bigint, HybridTs>;
  readonly alterations: LoggedAlteration[];
}

export class ArchiveTail implements TailConsumer {
  readonly records = true;
  readonly #o: ArchiveTailOptions;
  /** pchannel -> offset from which this sink needs it. */
  readonly #from = new Map<string, bigint>();
  /** pchannel -> groups that came in and are not taken over yet. */
  readonly #pending = new Map<string, number>();

  constructor(options: ArchiveTailOptions) {
    this.#o = options;
  }

  get state(): SinkState {
    return this.#o.state;
  }

  startsAt(pchannel: string, { offset }: ResumePoint): void {
    this.#from.set(pchannel, offset);
  }

  identifies(pchannel: string, topicId: string): void {
    if (!this.#isHeld) noteTopic(this.#o.state.extra, pchannel, topicId);
  }

  closeControl(): void {}

  /** On an idle channel no append comes that would tell when its last file was closed, or that there is nothing for one. */
  stands({ pchannel, tick, end }: TickGroup): void {
    if (this.#isHeld || (this.#pending.get(pchannel) ?? 0) > 0 || end?.waiting !== undefined) return;
    if (this.#follow(pchannel)) this.#o.changed(true);
    if (this.#o.session().isDurable(pchannel)) this.#o.whole(pchannel, tick);
  }

  silent(pchannel: string, silence: Silence): void {
    this.#o.silent(pchannel, silence);
  }

  needs({ pchannel, records }: TickGroup): boolean {
    if (this.#isHeld) return false;
    const last = records.at(-1);
    return last === undefined || last.offset >= this.#firstOf(pchannel);
  }

  cares(collectionId: bigint): boolean {
    return this.#o.wanted(collectionId);
  }

  run(groups: Observable<TickGroup>): Observable<never> {
    return groups.pipe(
      map((group) => {
        this.#count(group.pchannel, 1);
        return from([group]);
      }),
      concatAll(),
      groupBy((group) => group.pchannel),
      mergeMap((groups$) =>
        groups$.pipe(lane<TickGroup, readonly TickGroup[], void>({
          depth: 1,
          ready: Promise.resolve(),
          prepare: (queue) => ({ work: queue.slice(0, GROUPS_AT_ONCE), used: Math.min(queue.length, GROUPS_AT_ONCE) }),
          conflicts: () => true,
          run: (work) => this.#append(work),
        })), MAX_PCHANNELS),
      filter((_done): _done is never => false),
      mergeMap(() => EMPTY, 1),
    );
  }

  async #append(groups: readonly TickGroup[]): Promise<void> {
    const { session, life, acknowledged, changed, appending } = this.#o;
    const last = groups.at(-1)!;
    const taken = await life.keep(() =>
      appending(async () => {
        const told: Told = { drops: new Map(), alterations: [] };
        const records = groups.flatMap((group) => this.#records(group, told));
        // Once its record is archived, nobody reads it again to note it.
        if (told.drops.size > 0) await session().noteDrops(told.drops, life.signal);
        if (told.alterations.length > 0) await session().noteAlterations(told.alterations, life.signal);
        await session().appendLog(last.pchannel, records, last.resume, life.signal);
      })
    );
    const moved = taken && this.#follow(last.pchannel);
    this.#count(last.pchannel, -groups.length);
    // The others go on: one that is held reads it again from where its state says.
    for (const group of groups) acknowledged(group);
    if (taken) changed(moved);
  }

  get #isHeld(): boolean {
    return this.#o.life.error !== undefined;
  }

  /** The checkpoint goes to what is durable; true if that is news. */
  #follow(pchannel: string): boolean {
    const { session, state: { positions } } = this.#o;
    const durable = session().durable(pchannel);
    const known = positions.get(pchannel);
    // Behind a stated gap the archive's last word is older than where its log goes on.
    if (durable === undefined || (known !== undefined && durable.offset < known.offset)) return false;
    positions.set(pchannel, durable);
    return known?.offset !== durable.offset || known.tick !== durable.tick;
  }

  #count(pchannel: string, groups: number): void {
    this.#pending.set(pchannel, (this.#pending.get(pchannel) ?? 0) + groups);
  }

  /** What lies before is archived, or nothing of this backup: it need not even be described. */
  #firstOf(pchannel: string): bigint {
    const from = this.#from.get(pchannel) ?? 0n;
    const durable = this.#o.state.positions.get(pchannel)?.offset ?? 0n;
    return durable > from ? durable : from;
  }

  /** Those that are kept; adds to `told` what they say of collections. */
  #records(group: TickGroup, { drops, alterations }: Told): ArchivedRecord[] {
    const kept: ArchivedRecord[] = [];
    const first = this.#firstOf(group.pchannel);
    for (const record of group.records) {
      if (record.offset < first) continue;
      const facts = this.#o.describe(record);
      if (facts.vchannel !== "" && !this.#o.wanted(collectionOf(facts.vchannel))) continue;
      if (facts.collectionId !== undefined && !this.#o.wanted(facts.collectionId)) continue;
      addDrop(drops, facts);
      const { collectionId, ts, alteration } = facts;
      if (alteration !== undefined && collectionId !== undefined) alterations.push({ collectionId, ts, alteration });
      kept.push({ record, ts: facts.ts, vchannel: facts.vchannel, type: facts.type });
    }
    return kept;
  }
}
