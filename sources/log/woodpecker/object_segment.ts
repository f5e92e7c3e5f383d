/**
 * A segment in a bucket. While it is written, its blocks are read one after the other, for ever the next one: a listing would
 * cost more and say less. Once it is finished its footer tells the blocks, also the merged ones into which a compaction puts
 * them while they are read; entries keep their numbers, blocks do not.
 */
import {
  BLOCK_FRONT_BYTES,
  type BlockObject,
  readBlockFront,
  readBlockObject,
  readFooterObject,
} from "./block_object.ts";
import { type Footer, FrameError, type IndexEntry } from "./frames.ts";
import type { SegmentMeta } from "./keys.ts";
import { damaged, parseObject, type SegmentPlace, type SegmentReader, type Step, takenBack } from "./segment.ts";

const FOOTER = "footer.blk";

interface BlockPlace {
  readonly block: number;
  /** Number of its first entry. */
  readonly first: bigint;
}

export class ObjectSegment implements SegmentReader {
  readonly #place: SegmentPlace;
  /** Of a finished segment, once read. */
  #footer: Footer | undefined;
  /** The next block of one that is not, and the number of its first entry. */
  #live: BlockPlace | undefined;
  /** Behind the last entry that was given out. */
  #given = 0n;

  constructor(place: SegmentPlace) {
    this.#place = place;
  }

  async read(entry: bigint, signal: AbortSignal): Promise<Step> {
    const step = await this.#read(entry, signal);
    if (step.kind === "entries") this.#given = step.first + BigInt(step.entries.length);
    return step;
  }

  async end(signal: AbortSignal): Promise<bigint> {
    const meta = this.#place.meta();
    if (meta.state !== "active") return meta.lastEntry + 1n;
    let at = await this.#locate(undefined, signal);
    for (let head; (head = await this.#front(at.block, signal)) !== undefined;) {
      at = { block: at.block + 1, first: head.last + 1n };
    }
    return at.first;
  }

  async #read(entry: bigint, signal: AbortSignal): Promise<Step> {
    // Asked before the object: what was finished by then is complete.
    const meta = this.#place.meta();
    if (meta.state !== "active") {
      this.#checkKept(meta);
      if (entry > meta.lastEntry) return { kind: "end" };
      this.#footer ??= await parseObject(this.#place, FOOTER, readFooterObject, signal);
      if (this.#footer !== undefined) return await this.#indexed(entry, meta, this.#footer, signal);
    }
    return await this.#next(entry, meta, signal);
  }

  /** Of a block that the index names. */
  async #indexed(entry: bigint, meta: SegmentMeta, footer: Footer, signal: AbortSignal): Promise<Step> {
    const found = footer.blocks.find(({ last }) => last >= entry);
    if (found === undefined) {
      return this.#again(
        `the index in ${FOOTER} ends before entry ${entry}, etcd says that there are ${meta.lastEntry}`,
      );
    }
    const name = `${footer.compacted ? "m_" : ""}${found.block}.blk`;
    const object = await parseObject(this.#place, name, (bytes) => blockOf(bytes, found), signal);
    if (object === undefined) {
      // A compaction that ran meanwhile, or the segment's removal, of which etcd tells.
      this.#place.meta();
      return this.#again(`${name} is not there, and ${FOOTER} names it`);
    }
    return entriesOf(object, entry, meta);
  }

  /** The next block of a segment without a footer. */
  async #next(entry: bigint, meta: SegmentMeta, signal: AbortSignal): Promise<Step> {
    if (this.#live === undefined || this.#live.first > entry) this.#live = await this.#locate(entry, signal);
    for (let at: BlockPlace = this.#live;; at = this.#live) {
      const { block, first } = at;
      const name = `${block}.blk`;
      const object = await parseObject(this.#place, name, readBlockObject, signal);
      if (object === undefined || object.kind === "fence") {
        // The fence stands where the last writer stopped; that it is the end, and of what, etcd says a moment later.
        if (meta.state === "active") return { kind: "nothing", next: first };
        return this.#again(
          `${name} is ${object === undefined ? "not there" : "a fence"}, etcd says that there are ${meta.lastEntry}`,
        );
      }
      const { head } = object;
      if (head.block !== block || head.first !== first) {
        throw damaged(
          this.#place,
          name,
          new FrameError(
            `it says that it is block ${head.block} from entry ${head.first}, expected ${block} from ${first}`,
          ),
        );
      }
      this.#live = { block: block + 1, first: head.last + 1n };
      if (head.last >= entry) return entriesOf(object, entry, meta);
    }
  }

  /** The block with `entry`, or the last one that there is, by their fronts: doubling, then halving. */
  async #locate(entry: bigint | undefined, signal: AbortSignal): Promise<BlockPlace> {
    let low = { block: 0, first: 0n };
    if (entry === 0n) return low;
    const isBefore = async (block: number) => {
      const head = await this.#front(block, signal);
      if (head === undefined || (entry !== undefined && head.first > entry)) return false;
      low = { block, first: head.first };
      return true;
    };
    let step = 1;
    while (await isBefore(low.block + step)) step *= 2;
    for (let high = low.block + step; high - low.block > 1;) {
      const middle = low.block + Math.floor((high - low.block) / 2);
      if (!await isBefore(middle)) high = middle;
    }
    return low;
  }

  /** Undefined: no such block, or a fence. */
  async #front(block: number, signal: AbortSignal): Promise<{ first: bigint; last: bigint } | undefined> {
    const range = { start: 0, end: BLOCK_FRONT_BYTES };
    return await parseObject(this.#place, `${block}.blk`, readBlockFront, signal, range);
  }

  /** What was known of the segment's objects is looked up anew. */
  #again(what: string): Step {
    this.#footer = undefined;
    this.#live = undefined;
    return { kind: "missing", what: `${this.#place.folder} in ${this.#place.store.location}: ${what}` };
  }

  #checkKept({ lastEntry }: SegmentMeta): void {
    if (this.#given > lastEntry + 1n) throw takenBack(this.#place, lastEntry, this.#given - 1n);
  }
}

/** Throws {@link FrameError} where the block is another than the index says. */
function blockOf(bytes: Uint8Array, { block, first, last }: IndexEntry): Extract<BlockObject, { kind: "block" }> {
  const object = readBlockObject(bytes);
  if (object.kind === "fence") throw new FrameError("it is a fence, its segment's index names it as a block");
  const { head } = object;
  if (head.block !== block || head.first !== first || head.last !== last) {
    throw new FrameError(
      `it has entries ${head.first} to ${head.last} of block ${head.block}, the index says ${first} to ${last} of ${block}`,
    );
  }
  return object;
}

function entriesOf(
  { head, entries }: Extract<BlockObject, { kind: "block" }>,
  entry: bigint,
  { state, lastEntry }: SegmentMeta,
): Step {
  const until = state === "active" || lastEntry > head.last ? head.last : lastEntry;
  return {
    kind: "entries",
    first: entry,
    entries: entries.slice(Number(entry - head.first), Number(until - head.first) + 1),
  };
}
