/**
 * Room for the compressed bytes of one batch, put together from the pieces in which they came. They are needed until it is
 * checked and decompressed, and no longer: new memory for each would be zeroed, and collected, as often as there are batches.
 */
import type { Pieces } from "../byte_cursor.ts";

/** Copied at once: few enough that most of them lie in one piece. */
const WINDOW_BYTES = 16 << 10;
/** What is larger is rare, and would be kept for good. */
const MOST_ROOM = 4 << 20;

export class Scratch {
  #room = new Uint8Array(0);

  /** The same bytes in one piece, until the next call; as they are where they are too many. */
  gathered(pieces: Pieces): Pieces {
    const { length } = pieces;
    if (length > MOST_ROOM) return pieces;
    if (length > this.#room.length) this.#room = new Uint8Array(Math.min(MOST_ROOM, length * 1.25));
    for (let start = 0; start < length; start += WINDOW_BYTES) {
      this.#room.set(pieces.slice(start, Math.min(length, start + WINDOW_BYTES)), start);
    }
    const bytes = this.#room.subarray(0, length);
    return { length, slice: (start, end) => bytes.subarray(start, end) };
  }
}
