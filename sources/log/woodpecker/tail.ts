/** A log from a place on: segment after segment, each to its end, waiting where the last one ends. */
import { assertNever, TidemarkError } from "../../../pipeline/errors.ts";
import { after, type LogBounds, type LogFetch, type Position } from "../../../pipeline/model/mod.ts";
import { woodpeckerPlace, woodpeckerPosition, woodpeckerPositions } from "../../../pipeline/positions/mod.ts";
import { isInsert } from "../gen1/is_insert.ts";
import { Outage } from "../outage.ts";
import { lostByBounds, lostByIdentity, lostByRemoval } from "../position.ts";
import { Cadence, type FoundBlock } from "./cadence.ts";
import { recordsOf, writtenMs } from "./entry.ts";
import type { SegmentMeta } from "./keys.ts";
import type { LogView, WoodpeckerLogs } from "./logs.ts";
import type { SegmentReader } from "./segment.ts";

export interface TailSurroundings {
  readonly logs: WoodpeckerLogs;
  readonly open: (log: LogView, segment: bigint, meta: () => SegmentMeta) => SegmentReader;
  readonly bounds: () => Promise<LogBounds>;
  readonly pollMs: number;
  readonly idlePollMs: number;
  readonly withoutInserts: boolean;
  readonly sleep: (ms: number, signal: AbortSignal) => Promise<void>;
  /** Monotonic ms. */
  readonly now: () => number;
  readonly onState?: ((topic: string, reason: string | undefined) => void) | undefined;
  readonly onFetched?: ((topic: string, bytes: number) => void) | undefined;
}

/** No segment has so many entries: a place beyond is one between two segments. */
const NO_ENTRY = 1n << 32n;
/** Looks for what should be there, with the waits between them, before it counts as lost: two compactions take 20 s. */
const MISSING_LOOKS = 30;
const MISSING_TOLD = 4;
const GROWTH = 1.5;

export class WoodpeckerTail {
  readonly #topic: string;
  readonly #around: TailSurroundings;
  readonly #signal: AbortSignal;
  #topicId: string | undefined;
  #segment: bigint;
  #entry: bigint;
  #reader: SegmentReader | undefined;
  /** The place that was asked for has not been seen to be inside the log. */
  #unproven = true;
  readonly #outage: Outage;
  #failures = 0;
  #missing = 0;
  readonly #cadence: Cadence;
  /** Where the entries of the segment end, if nothing follows. */
  #end: bigint | undefined;
  /** The version of the metadata at the last look, where the next one is to wait. */
  #waitFrom: number | undefined;

  constructor(
    topic: string,
    from: Position,
    topicId: string | undefined,
    around: TailSurroundings,
    signal: AbortSignal,
  ) {
    this.#topic = topic;
    this.#topicId = topicId;
    this.#around = around;
    this.#signal = signal;
    this.#cadence = new Cadence(around.pollMs, around.idlePollMs);
    this.#outage = new Outage(topic, {
      sleep: around.sleep,
      onState: ({ state, reason }) => around.onState?.(topic, state === "down" ? reason : undefined),
    });
    ({ segment: this.#segment, entry: this.#entry } = woodpeckerPlace(from));
  }

  /**
   * While there are records one response is fetched ahead, no more: whoever does not call `next()` stops the reading. That the
   * log ends is never said from a look of earlier. Where a block is found that the next one does not follow at once, none is
   * fetched ahead: each look is a request.
   */
  async *pages(): AsyncGenerator<LogFetch> {
    await this.#around.logs.log(this.#topic, this.#signal);
    let ahead: Promise<LogFetch | undefined> | undefined;
    try {
      while (true) {
        const page = await ahead ?? await this.#page();
        ahead = page.records.length > 0 && this.#waitFrom === undefined ? this.#next() : undefined;
        ahead?.catch(() => {});
        yield page;
      }
    } finally {
      await ahead?.catch(() => {});
    }
  }

  /** The next entries, or that there are none, which is said again after a while. */
  async #page(): Promise<LogFetch> {
    const { logs, now, pollMs } = this.#around;
    if (this.#waitFrom !== undefined) await this.#wait(this.#waitFrom, this.#cadence.due - now());
    for (;;) {
      const { version } = logs;
      const page = await this.#next();
      if (page !== undefined) return page;
      // The watch may be behind: that nothing follows is said only where etcd itself says so now.
      if (await logs.isCurrent(this.#topic, this.#last(), this.#signal)) {
        const end = this.#end;
        if (end !== undefined) {
          if (end < this.#entry) throw this.#beyond(this.#view(), end);
          this.#unproven = false;
          this.#waitFrom = version;
          const next = woodpeckerPosition(this.#segment, this.#entry);
          return { records: [], highWatermark: woodpeckerPosition(this.#segment, end), next };
        }
      }
      await this.#wait(version, pollMs);
    }
  }

  /** The last segment that this tail has looked into. */
  #last(): bigint {
    return this.#reader === undefined ? this.#segment - 1n : this.#segment;
  }

  /** The next entries; undefined where there are none now, and then `#end` is where they end, if that can be said. */
  async #next(): Promise<LogFetch | undefined> {
    for (;;) {
      this.#signal.throwIfAborted();
      const seen = this.#around.logs.version;
      const at = this.#around.now();
      const view = this.#view();
      const segment = this.#segment;
      this.#end = undefined;
      this.#waitFrom = undefined;
      if (!await this.#enter(view)) {
        this.#end = 0n;
        return this.#missed(at, seen);
      }
      this.#reader ??= this.#around.open(view, segment, () => this.#meta(segment));
      const step = await this.#reader.read(this.#entry, this.#signal);
      if (step.kind === "away") {
        await this.#outage.wait(this.#failures++, step.reason, this.#signal);
        continue;
      }
      this.#failures = 0;
      this.#outage.over();
      if (step.kind === "missing") {
        await this.#look(step.what, seen);
        continue;
      }
      this.#found();
      switch (step.kind) {
        case "entries": {
          const { page, found } = this.#records(step.entries);
          this.#cadence.found(at, found);
          if (this.#cadence.due > at) this.#waitFrom = seen;
          return page;
        }
        case "end":
          this.#checkEnd(view);
          this.#leave();
          continue;
        case "nothing":
          // The next segment is begun before this one is finished.
          if (!view.segments.has(segment + 1n)) this.#end = step.next;
          return this.#missed(at, seen);
        default:
          assertNever(step);
      }
    }
  }

  /** In step nothing is to be had before its time; otherwise whoever asks again may be told that the log ends. */
  #missed(at: number, seen: number): undefined {
    this.#cadence.missed(at);
    if (this.#cadence.inStep) this.#waitFrom = seen;
    return undefined;
  }

  #records(entries: readonly Uint8Array[]): { readonly page: LogFetch; readonly found: FoundBlock } {
    const first = this.#entry;
    const segment = this.#segment;
    this.#unproven = false;
    const all = recordsOf(entries, this.#topic, segment, first);
    const bytes = all.reduce((sum, { value }) => sum + (value?.length ?? 0), 0);
    const records = this.#around.withoutInserts ? all.filter((record) => !isInsert(record)) : all;
    this.#entry = first + BigInt(entries.length);
    this.#around.onFetched?.(this.#topic, bytes);
    const next = woodpeckerPosition(segment, this.#entry);
    // Whether more follows is known by looking only.
    return { page: { records, highWatermark: after(next), next }, found: { bytes, writtenMs: writtenMs(all.at(-1)) } };
  }

  #view(): LogView {
    const view = this.#around.logs.known(this.#topic);
    if (view === undefined) {
      throw lostByRemoval(this.#topic, "sources.meta and sources.log.meta_prefix still name the source's Woodpecker");
    }
    const wanted = woodpeckerPositions.format(woodpeckerPosition(this.#segment, this.#entry));
    if (this.#topicId !== undefined && this.#topicId !== view.topicId) {
      throw lostByIdentity(this.#topic, wanted, this.#topicId, view.topicId);
    }
    this.#topicId = view.topicId;
    return view;
  }

  /** False: the segment is not written yet. Throws `position_lost` for one that is not any more, or never was. */
  async #enter(view: LogView): Promise<boolean> {
    const numbers = kept(view);
    const last = numbers.at(-1);
    if (numbers.includes(this.#segment)) return true;
    // Segments are begun in order and removed from the front.
    const isNext = this.#segment === (last ?? -1n) + 1n && this.#entry === 0n;
    if (!isNext) throw this.#lost(await this.#around.bounds());
    return false;
  }

  #meta(segment: bigint): SegmentMeta {
    const view = this.#view();
    const meta = view.segments.get(segment);
    if (meta !== undefined && !view.cleaning.has(segment)) return meta;
    const first = kept(view)[0] ?? segment + 1n;
    throw this.#lost({
      earliest: woodpeckerPosition(first, 0n),
      latest: woodpeckerPosition([...view.segments.keys()].reduce((max, n) => n > max ? n : max, first), 0n),
      topicId: view.topicId,
    });
  }

  /** A place that was asked for behind the end of a finished segment is none that this log ever gave. */
  #checkEnd(view: LogView): void {
    const meta = view.segments.get(this.#segment);
    if (!this.#unproven || meta === undefined || meta.state === "active") return;
    if (this.#entry > meta.lastEntry + 1n && this.#entry < NO_ENTRY) throw this.#beyond(view, meta.lastEntry + 1n);
  }

  #leave(): void {
    this.#segment += 1n;
    this.#entry = 0n;
    this.#reader = undefined;
    this.#unproven = false;
  }

  #beyond(view: LogView, end: bigint): TidemarkError {
    const earliest = woodpeckerPosition(kept(view)[0] ?? 0n, 0n);
    return this.#lost({ earliest, latest: woodpeckerPosition(this.#segment, end), topicId: view.topicId });
  }

  #lost(bounds: LogBounds): TidemarkError {
    return lostByBounds(
      this.#topic,
      woodpeckerPosition(this.#segment, this.#entry),
      bounds,
      woodpeckerPositions,
      "give woodpecker.logstore.retentionPolicy.ttl and streaming.walTruncate.retentionInterval of the source more than any pause of a run",
    );
  }

  async #look(what: string, seen: number): Promise<void> {
    this.#missing++;
    if (this.#missing > MISSING_LOOKS) {
      throw new TidemarkError("damaged", `A part of the log that etcd names is missing: ${what}`, {
        hint:
          "Are sources.log.storage and root_path those of the source (minio.rootPath of its milvus.yaml, then /wp)? " +
          "Otherwise somebody removed a part of its log: only a fresh copy helps (delete the run's state).",
      });
    }
    if (this.#missing === MISSING_TOLD) this.#around.onState?.(this.#topic, what);
    // At first at once: a compaction has moved the block.
    const { pollMs, idlePollMs } = this.#around;
    if (this.#missing > 1) await this.#wait(seen, Math.min(idlePollMs, pollMs * GROWTH ** (this.#missing - 2)));
  }

  #found(): void {
    if (this.#missing >= MISSING_TOLD) this.#around.onState?.(this.#topic, undefined);
    this.#missing = 0;
  }

  /** Until etcd tells something new, at the longest for so long. */
  async #wait(seen: number, ms: number): Promise<void> {
    if (ms <= 0) return;
    const { logs, sleep } = this.#around;
    const over = new AbortController();
    const signal = AbortSignal.any([this.#signal, over.signal]);
    const slept = sleep(ms, signal);
    slept.catch(() => {});
    try {
      await Promise.race([slept, logs.changed(seen, signal)]);
    } finally {
      over.abort();
    }
    this.#signal.throwIfAborted();
  }
}

/** Numbers of the segments that can be read, in order. */
export function kept({ segments, cleaning }: LogView): bigint[] {
  return [...segments.keys()].filter((segment) => !cleaning.has(segment)).sort((a, b) => a < b ? -1 : 1);
}
