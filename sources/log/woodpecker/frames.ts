/**
 * The one framing of Woodpecker's files, formats 5 and 6 (Milvus 2.6 and 3.0), little endian:
 * CRC-32 u32 over everything behind it · type u8 · length u32 · payload.
 */
import { crc32 } from "node:zlib";

export const FRAME_HEAD = 9;
export const FILE_HEADER_BYTES = FRAME_HEAD + 16;
export const BLOCK_HEADER_BYTES = FRAME_HEAD + 28;

export const FrameType = { header: 1, data: 2, index: 3, footer: 4, blockHeader: 5 } as const;

const HEADER_MAGIC = 0x01524448;
const FOOTER_MAGIC = 0x01525446;
const FOOTER_V5_BYTES = 36;
const FOOTER_V6_BYTES = 44;
/** Sizes of a whole footer frame, the newer format first. */
export const FOOTER_FRAMES: readonly number[] = [FRAME_HEAD + FOOTER_V6_BYTES, FRAME_HEAD + FOOTER_V5_BYTES];
const VERSIONS: ReadonlySet<number> = new Set([5, 6]);
const COMPACTED = 1;

/** What stands in the bytes is not what the format says. The reader adds which file, and whether to read it again. */
export class FrameError extends Error {
  override readonly name = "FrameError";
}

export interface Frame {
  readonly type: number;
  readonly payload: Uint8Array;
  /** Where the next frame begins. */
  readonly end: number;
}

/** One entry of a segment's index: a block. */
export interface IndexEntry {
  readonly block: number;
  /** In a `data.log`: of the block header. In a `footer.blk`: the block's number, no place. */
  readonly start: bigint;
  /** Of the object, or of the block in the file without the file's header. */
  readonly bytes: number;
  readonly first: bigint;
  readonly last: bigint;
}

export interface Footer {
  /** The blocks are the merged ones. */
  readonly compacted: boolean;
  readonly blocks: readonly IndexEntry[];
}

/** Throws {@link FrameError} where no whole, sound frame begins at `at`. */
export function readFrame(bytes: Uint8Array, at: number): Frame {
  if (at + FRAME_HEAD > bytes.length) throw new FrameError(`it ends at ${bytes.length}, in the head of a record`);
  const view = viewOf(bytes);
  const end = at + FRAME_HEAD + view.getUint32(at + 5, true);
  if (end > bytes.length) throw new FrameError(`it ends at ${bytes.length}, in a record that goes up to ${end}`);
  if (crc32(bytes.subarray(at + 4, end)) !== view.getUint32(at, true)) {
    throw new FrameError(`the checksum of the record at ${at} is wrong`);
  }
  return { type: bytes[at + 4]!, payload: bytes.subarray(at + FRAME_HEAD, end), end };
}

/** The header of a file or of a segment's first block. Throws {@link FrameError} also for a version that is not known. */
export function checkHeader({ type, payload }: Frame): void {
  const view = viewOf(payload);
  if (type !== FrameType.header || payload.length !== 16 || view.getUint32(12, true) !== HEADER_MAGIC) {
    throw new FrameError("it does not begin with Woodpecker's header");
  }
  const version = view.getUint16(0, true);
  if (!VERSIONS.has(version)) throw new FrameError(`it is of format ${version}, expected 5 or 6`);
}

export interface BlockHead {
  readonly block: number;
  readonly first: bigint;
  readonly last: bigint;
  /** Of all data records behind it, heads included. */
  readonly bytes: number;
  readonly crc: number;
}

export function readBlockHead({ type, payload }: Frame): BlockHead {
  if (type !== FrameType.blockHeader || payload.length !== 28) throw new FrameError("a block's header was expected");
  const view = viewOf(payload);
  const head = {
    block: view.getInt32(0, true),
    first: view.getBigInt64(4, true),
    last: view.getBigInt64(12, true),
    bytes: view.getUint32(20, true),
    crc: view.getUint32(24, true),
  };
  if (head.first < 0n || head.last < head.first) {
    throw new FrameError(`a block's header says entries ${head.first} to ${head.last}`);
  }
  return head;
}

/** The entries of a block: `data` is what follows its header, to the byte. Views into it. */
export function readEntries(data: Uint8Array, head: BlockHead): Uint8Array[] {
  if (data.length !== head.bytes) {
    throw new FrameError(`block ${head.block} has ${data.length} bytes of entries, its header says ${head.bytes}`);
  }
  if (crc32(data) !== head.crc) throw new FrameError(`the checksum of block ${head.block} is wrong`);
  const view = viewOf(data);
  const entries: Uint8Array[] = [];
  for (let at = 0; at < data.length;) {
    if (at + FRAME_HEAD > data.length || data[at + 4] !== FrameType.data) {
      throw new FrameError(`block ${head.block} has something else than an entry at ${at}`);
    }
    const end = at + FRAME_HEAD + view.getUint32(at + 5, true);
    if (end > data.length) throw new FrameError(`an entry of block ${head.block} goes beyond its end`);
    entries.push(data.subarray(at + FRAME_HEAD, end));
    at = end;
  }
  if (BigInt(entries.length) !== head.last - head.first + 1n) {
    throw new FrameError(
      `block ${head.block} has ${entries.length} entries, its header says ${head.first} to ${head.last}`,
    );
  }
  return entries;
}

export function readIndexEntry({ type, payload }: Frame): IndexEntry {
  if (type !== FrameType.index || payload.length !== 32) throw new FrameError("a record of the index was expected");
  const view = viewOf(payload);
  return {
    block: view.getInt32(0, true),
    start: view.getBigInt64(4, true),
    bytes: view.getUint32(12, true),
    first: view.getBigInt64(16, true),
    last: view.getBigInt64(24, true),
  };
}

export interface FooterFrame {
  readonly compacted: boolean;
  readonly indexOffset: bigint;
  readonly indexBytes: number;
}

export function readFooterFrame({ type, payload }: Frame): FooterFrame {
  const known = payload.length === FOOTER_V5_BYTES || payload.length === FOOTER_V6_BYTES;
  const view = viewOf(payload);
  if (type !== FrameType.footer || !known || view.getUint32(32, true) !== FOOTER_MAGIC) {
    throw new FrameError("it does not end in Woodpecker's footer");
  }
  const version = view.getUint16(28, true);
  if (!VERSIONS.has(version)) throw new FrameError(`its footer is of format ${version}, expected 5 or 6`);
  return {
    compacted: (view.getUint16(30, true) & COMPACTED) !== 0,
    indexOffset: view.getBigUint64(16, true),
    indexBytes: view.getUint32(24, true),
  };
}

/** Records of an index, one behind the other, whose entries must be without a gap. */
export function readIndex(bytes: Uint8Array): IndexEntry[] {
  const blocks: IndexEntry[] = [];
  for (let at = 0; at < bytes.length;) {
    const frame = readFrame(bytes, at);
    blocks.push(readIndexEntry(frame));
    at = frame.end;
  }
  checkContiguous(blocks);
  return blocks;
}

export function checkContiguous(blocks: readonly IndexEntry[]): void {
  let next = 0n;
  for (const { block, first, last } of blocks) {
    if (first !== next || last < first) {
      throw new FrameError(`its index says entries ${first} to ${last} for block ${block}, expected ${next} on`);
    }
    next = last + 1n;
  }
}

export function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
