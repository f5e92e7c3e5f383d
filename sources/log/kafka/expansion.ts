/**
 * How much the batches of a topic grow when they are decompressed, which they do not say themselves. Room of the right size is
 * filled once: what does not fit goes into more of it and is put together afterwards, and of too much the records would keep
 * the rest alive, so that they are copied out of it.
 */

const LEAST_ROOM = 16 << 10;
const MOST_ROOM = 8 << 20;
/** Above what is expected. */
const MARGIN = 1.06;
/** Smaller batches, of time ticks, say nothing of those with rows. */
const TELLING = 16 << 10;

export class Expansion {
  /** Of the two batches before. */
  #ratios: readonly [number, number] = [2, 2];

  /** Bytes to set aside for what `packed` compressed bytes become. */
  room(packed: number): number {
    return Math.min(MOST_ROOM, Math.max(LEAST_ROOM, Math.ceil(packed * Math.max(...this.#ratios) * MARGIN)));
  }

  saw(packed: number, unpacked: number): void {
    if (packed >= TELLING) this.#ratios = [this.#ratios[1], unpacked / packed];
  }
}
