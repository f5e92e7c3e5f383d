/** The objects of a segment in a bucket: its blocks, the fence that ends it, and its footer. */
import {
  type BlockHead,
  checkContiguous,
  checkHeader,
  type Footer,
  FrameError,
  FrameType,
  type IndexEntry,
  readBlockHead,
  readEntries,
  readFooterFrame,
  readFrame,
  readIndexEntry,
} from "./frames.ts";

/** Enough of a block's beginning to know its entries' numbers, a segment's header included. */
export const BLOCK_FRONT_BYTES = 25 + 37;

const FENCE = 0x46;

export type BlockObject =
  /** Another writer ended the segment before this block. */
  | { readonly kind: "fence" }
  | { readonly kind: "block"; readonly head: BlockHead; readonly entries: readonly Uint8Array[] };

/** `bytes`: of the whole object. Throws {@link FrameError}. */
export function readBlockObject(bytes: Uint8Array): BlockObject {
  if (isFence(bytes)) return { kind: "fence" };
  const { head, end } = blockFront(bytes);
  return { kind: "block", head, entries: readEntries(bytes.subarray(end), head) };
}

/** Of the object's first {@link BLOCK_FRONT_BYTES}; undefined: a fence. Throws {@link FrameError}. */
export function readBlockFront(bytes: Uint8Array): BlockHead | undefined {
  return isFence(bytes) ? undefined : blockFront(bytes).head;
}

/** The object `footer.blk`: the index and behind it the footer. Throws {@link FrameError}. */
export function readFooterObject(bytes: Uint8Array): Footer {
  const blocks: IndexEntry[] = [];
  for (let at = 0;;) {
    const frame = readFrame(bytes, at);
    at = frame.end;
    if (frame.type === FrameType.index) {
      blocks.push(readIndexEntry(frame));
      continue;
    }
    const { compacted } = readFooterFrame(frame);
    if (at !== bytes.length) throw new FrameError(`${bytes.length - at} bytes follow its footer`);
    checkContiguous(blocks);
    return { compacted, blocks };
  }
}

/** A real block has at least 46 bytes. */
function isFence(bytes: Uint8Array): boolean {
  return bytes.length === 1 && bytes[0] === FENCE;
}

function blockFront(bytes: Uint8Array): { head: BlockHead; end: number } {
  let frame = readFrame(bytes, 0);
  if (frame.type === FrameType.header) {
    checkHeader(frame);
    frame = readFrame(bytes, frame.end);
  }
  return { head: readBlockHead(frame), end: frame.end };
}
