/**
 * A segment in one file, `data.log`, as storage of type `local` keeps it. Blocks are appended while it is written, so that its
 * end can be torn; a finished one has an index and a footer at the end, perhaps twice, perhaps behind torn bytes.
 */
import {
  BLOCK_HEADER_BYTES,
  type BlockHead,
  FILE_HEADER_BYTES,
  type Footer,
  FOOTER_FRAMES,
  type FooterFrame,
  FrameError,
  type IndexEntry,
  readBlockHead,
  readEntries,
  readFooterFrame,
  readFrame,
  readIndex,
} from "./frames.ts";
import type { SegmentMeta } from "./keys.ts";
import {
  damaged,
  getObject,
  parseObject,
  type SegmentPlace,
  type SegmentReader,
  type Step,
  takenBack,
} from "./segment.ts";

export const DATA_FILE = "data.log";

interface Block {
  readonly head: BlockHead;
  readonly entries: readonly Uint8Array[];
}

export class FileSegment implements SegmentReader {
  readonly #place: SegmentPlace;
  #footer: Footer | undefined;
  /** Where the next block begins, and the number of its first entry. */
  #at = { start: FILE_HEADER_BYTES, first: 0n };
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
    const at = { start: FILE_HEADER_BYTES, first: 0n };
    for (let block; (block = await this.#block(at, signal)) !== undefined;) move(at, block.head);
    return at.first;
  }

  async #read(entry: bigint, signal: AbortSignal): Promise<Step> {
    const meta = this.#place.meta();
    if (meta.state !== "active") {
      if (this.#given > meta.lastEntry + 1n) throw takenBack(this.#place, meta.lastEntry, this.#given - 1n);
      if (entry > meta.lastEntry) return { kind: "end" };
      this.#footer ??= await this.#readFooter(signal);
      if (this.#footer !== undefined) return await this.#indexed(entry, meta, this.#footer, signal);
    }
    if (this.#at.first > entry) this.#at = { start: FILE_HEADER_BYTES, first: 0n };
    for (let block; (block = await this.#block(this.#at, signal)) !== undefined;) {
      move(this.#at, block.head);
      if (block.head.last >= entry) return entriesOf(block, entry, meta);
    }
    if (meta.state === "active") return { kind: "nothing", next: this.#at.first };
    return this.#missing(
      `no whole block begins at ${this.#at.start}, etcd says that there are entries to ${meta.lastEntry}`,
    );
  }

  async #indexed(entry: bigint, meta: SegmentMeta, footer: Footer, signal: AbortSignal): Promise<Step> {
    const found = footer.blocks.find(({ last }) => last >= entry);
    if (found === undefined) {
      return this.#missing(`its index ends before entry ${entry}, etcd says that there are ${meta.lastEntry}`);
    }
    const start = Number(found.start);
    const range = { start, end: start + found.bytes };
    const block = await parseObject(this.#place, DATA_FILE, (bytes) => blockOf(bytes, found), signal, range);
    if (block !== undefined) return entriesOf(block, entry, meta);
    this.#place.meta();
    return this.#missing("it is not there");
  }

  /** The whole block at a place; undefined: it is not there yet, or torn. */
  async #block({ start, first }: { start: number; first: bigint }, signal: AbortSignal): Promise<Block | undefined> {
    const front = await getObject(this.#place, DATA_FILE, signal, { start, end: start + BLOCK_HEADER_BYTES });
    if (front === undefined || front.length < BLOCK_HEADER_BYTES) return undefined;
    let head: BlockHead;
    try {
      head = readBlockHead(readFrame(front, 0));
    } catch (thrown) {
      if (thrown instanceof FrameError) return undefined;
      throw thrown;
    }
    const body = start + BLOCK_HEADER_BYTES;
    const data = await getObject(this.#place, DATA_FILE, signal, { start: body, end: body + head.bytes });
    if (data === undefined || data.length < head.bytes) return undefined;
    try {
      const entries = readEntries(data, head);
      if (head.first === first) return { head, entries };
    } catch (thrown) {
      if (thrown instanceof FrameError) return undefined;
      throw thrown;
    }
    throw damaged(
      this.#place,
      DATA_FILE,
      new FrameError(`the block at ${start} begins with entry ${head.first}, expected ${first}`),
    );
  }

  /** Undefined: the file has no footer at its end (yet). */
  async #readFooter(signal: AbortSignal): Promise<Footer | undefined> {
    const { store, folder } = this.#place;
    const info = await store.head(`${folder}/${DATA_FILE}`, signal);
    if (info === undefined) return undefined;
    const size = Number(info.size);
    for (const bytes of FOOTER_FRAMES) {
      if (size < FILE_HEADER_BYTES + bytes) continue;
      const tail = await getObject(this.#place, DATA_FILE, signal, { start: size - bytes, end: size });
      const footer = tail === undefined ? undefined : footerOf(tail);
      if (footer === undefined) continue;
      const start = Number(footer.indexOffset);
      const range = { start, end: start + footer.indexBytes };
      const blocks = await parseObject(this.#place, DATA_FILE, readIndex, signal, range);
      return blocks === undefined ? undefined : { compacted: footer.compacted, blocks };
    }
    return undefined;
  }

  #missing(what: string): Step {
    this.#footer = undefined;
    return { kind: "missing", what: `${this.#place.folder}/${DATA_FILE} in ${this.#place.store.location}: ${what}` };
  }
}

function move(at: { start: number; first: bigint }, head: BlockHead): void {
  at.start += BLOCK_HEADER_BYTES + head.bytes;
  at.first = head.last + 1n;
}

function footerOf(tail: Uint8Array): FooterFrame | undefined {
  try {
    const frame = readFrame(tail, 0);
    return frame.end === tail.length ? readFooterFrame(frame) : undefined;
  } catch (thrown) {
    if (thrown instanceof FrameError) return undefined;
    throw thrown;
  }
}

function blockOf(bytes: Uint8Array, { first, last }: IndexEntry): Block {
  const frame = readFrame(bytes, 0);
  const head = readBlockHead(frame);
  if (head.first !== first || head.last !== last) {
    throw new FrameError(`a block has entries ${head.first} to ${head.last}, the index says ${first} to ${last}`);
  }
  return { head, entries: readEntries(bytes.subarray(frame.end), head) };
}

function entriesOf({ head, entries }: Block, entry: bigint, { state, lastEntry }: SegmentMeta): Step {
  const until = state === "active" || lastEntry > head.last ? head.last : lastEntry;
  return {
    kind: "entries",
    first: entry,
    entries: entries.slice(Number(entry - head.first), Number(until - head.first) + 1),
  };
}
