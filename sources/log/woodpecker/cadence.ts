/**
 * When to look for the next block of a log. Each look is a request to the store, and says no more than whether the block is
 * there. Milvus' writer puts a block every 200 ms while something is written, and at once what is large; so where blocks come
 * at even times one look for each is enough, a little behind it:
 *
 * - Behind: what was found is followed by a look at once, until one is in vain.
 * - At the end, nothing known: as long as is usual after a find, and longer with each look in vain.
 * - In step: two finds so far apart, and nothing behind the second, say that the writer is even. From then on a look is made
 *   where the next block is expected. How long it had been there is not known but bounded, and looking earlier by half of that
 *   bound halves it. Then each look is earlier by a little, until one is too early: that, and the one behind it, tell when the
 *   block came, and so how far apart blocks are. Many finds without a look in vain may mean that the reader has fallen behind,
 *   so now and then it looks whether another block is there already.
 */

const GROWTH = 1.5;
/** A block so large, in bytes, was not put because it was time. */
const LARGE = 1 << 20;
/** Finds without a look in vain, after which it is looked whether the reader fell behind: at first, and at most. */
const PROOF_FIRST = 4;
const PROOF_MOST = 96;
/** Of the interval: how long a block may have been there, what each look is earlier by, and what it may be at most. */
const ROOM = 1 / 3;
const DRIFT = 1 / 200;
const DRIFT_MOST = 1 / 12;
/** A wait may be longer than it was meant. */
const SLACK = 1.25;
/** In intervals: how much older what is found may get; records are up to one older than their block. */
const AGEING = 1.5;
/** How much of what was measured is believed. */
const GAIN = 0.3;
const NOISE_GAIN = 0.2;
/** Finds in step that make it worth having tried, and pairs of finds that are asked for where it was not, at most. */
const WORTH = 16;
const PAIRS_MOST = 8;

export interface FoundBlock {
  readonly bytes: number;
  /** When its newest record was written by the writer's clock, where that is known. */
  readonly writtenMs?: number | undefined;
}

/** Times are ms of one clock, which only goes on. */
export class Cadence {
  readonly #pollMs: number;
  readonly #idleMs: number;
  /** When to look next. */
  #due = -Infinity;
  /** Of the next look in vain, where nothing is known. */
  #waitMs: number;
  /** Everything that there was is read. */
  #atEnd = false;
  #inStep = false;
  /** In step until a block did not come: what comes then may be several. */
  #stalled = false;
  /** The next look is one whether the reader fell behind, and where the look was due to which it belongs. */
  #proof: number | undefined;
  #proofAt = PROOF_FIRST;
  /** Finds since the last look in vain. */
  #finds = 0;
  /** Looks in vain since the last find. */
  #vain = 0;
  #vainAt = 0;
  /** Between two blocks. */
  #interval: number;
  /** The block that was found last had been there for so long at most. */
  #late = 0;
  /** By what the next look is earlier. */
  #earlier = 0;
  /** Variance of an interval, ms². */
  #noise = 0;
  /** When a block came that was waited for, and how many there were since. */
  #anchor: number | undefined;
  #since = 0;
  /** In step, the least that a block's newest record was older by its writer's clock than it was found by this one. */
  #youngest: number | undefined;
  /** Finds in step, and how many pairs of finds it takes to be so. */
  #inStepFor = 0;
  #pairs = 0;
  #pairsNeeded = 1;

  /** `pollMs`: what is expected between two blocks. `idleMs`: the longest wait. */
  constructor(pollMs: number, idleMs: number) {
    this.#pollMs = pollMs;
    this.#idleMs = idleMs;
    this.#waitMs = pollMs;
    this.#interval = pollMs;
  }

  get due(): number {
    return this.#due;
  }

  /** The next block is expected at `due`, and hardly before. */
  get inStep(): boolean {
    return this.#inStep;
  }

  /** A look that began at `at` found a block. */
  found(at: number, { bytes, writtenMs }: FoundBlock): void {
    const vain = this.#vain;
    this.#vain = 0;
    this.#waitMs = this.#pollMs;
    if (!this.#atEnd) {
      this.#due = at;
      return;
    }
    // Whoever reads did not come for it in time.
    const slow = this.#inStep && at > this.#due + this.#interval / 2;
    if (this.#proof !== undefined && this.#inStep) {
      this.#believe(this.#interval * (this.#finds / (this.#finds + 1) - DRIFT));
    }
    if (this.#proof !== undefined || this.#stalled || slow || bytes >= LARGE) return this.#fallBehind(at);
    this.#since++;
    this.#inStepFor++;
    if (vain > 0) {
      this.#late = at - this.#vainAt;
      this.#finds = 0;
      if (this.#inStep) return this.#caught(at);
      this.#late = Math.min(this.#late, this.#interval);
      this.#due = at + this.#interval;
      return;
    }
    this.#finds++;
    if (this.#earlier > this.#interval * DRIFT_MOST) this.#late -= this.#earlier;
    if (!this.#inStep || this.#finds >= this.#proofAt || this.#ages(at, writtenMs)) {
      this.#proof = this.#inStep ? this.#due : at;
      this.#due = at;
      return;
    }
    this.#expect(this.#due);
  }

  /** A look that began at `at` found nothing. */
  missed(at: number): void {
    this.#atEnd = true;
    this.#vainAt = at;
    // Something else than the time made it look.
    if (at < this.#due) return;
    if (this.#proof !== undefined && this.#proven(this.#proof)) return;
    if (++this.#vain === 1 && this.#inStep) {
      this.#due = at + (this.#isBounded() ? this.#interval * ROOM : this.#late - this.#earlier);
      return;
    }
    if (this.#inStep) {
      this.#leaveStep();
      this.#stalled = true;
    }
    this.#due = at + this.#waitMs;
    this.#waitMs = Math.min(this.#idleMs, this.#waitMs * GROWTH);
  }

  /** Nothing lies behind what was found. False: that is not yet enough to be in step. */
  #proven(from: number): boolean {
    this.#proof = undefined;
    if (this.#inStep) {
      // Long without a look in vain: the interval may be shorter.
      if (this.#proofAt > WORTH) this.#believe(this.#interval * (1 - DRIFT));
      this.#proofAt = Math.min(PROOF_MOST, this.#proofAt * 2);
    } else {
      if (++this.#pairs < this.#pairsNeeded) return false;
      this.#inStep = true;
      this.#inStepFor = 0;
      this.#anchor = undefined;
      this.#proofAt = PROOF_FIRST;
    }
    this.#youngest = undefined;
    this.#finds = 0;
    this.#expect(from);
    return true;
  }

  /** The block came between two looks that were made close together. */
  #caught(at: number): void {
    // Where halves were tried, it may have come anywhere between.
    if (this.#earlier <= this.#interval * DRIFT_MOST) {
      if (this.#anchor !== undefined) {
        const off = this.#vainAt - this.#anchor - this.#since * this.#interval;
        this.#noise += NOISE_GAIN * (off * off / this.#since - this.#noise);
        this.#believe(this.#interval + GAIN * off / this.#since);
        this.#proofAt = Math.min(PROOF_MOST, 2 * this.#since + 2);
      }
      this.#anchor = this.#vainAt;
      this.#since = 0;
    }
    this.#expect(at);
  }

  /** What is found gets older than it was, by more than the time between two blocks. The clocks need not agree. */
  #ages(at: number, writtenMs: number | undefined): boolean {
    if (writtenMs === undefined) return false;
    const age = at - writtenMs;
    this.#youngest = Math.min(age, this.#youngest ?? age);
    return age > this.#youngest + AGEING * this.#interval;
  }

  #expect(from: number): void {
    this.#earlier = this.#isBounded() ? this.#drift() : this.#late / 2;
    this.#due = from + this.#interval - this.#earlier;
  }

  #isBounded(): boolean {
    return this.#late <= this.#interval * ROOM * SLACK;
  }

  /** The more uneven the intervals, the larger: the place of the looks between two blocks would wander as they do. */
  #drift(): number {
    const steadying = this.#noise / (2 * this.#interval * ROOM);
    return Math.min(this.#interval * DRIFT_MOST, Math.max(this.#interval * DRIFT, steadying));
  }

  #believe(interval: number): void {
    this.#interval = Math.min(2 * this.#pollMs, Math.max(this.#pollMs / 2, interval));
  }

  #fallBehind(at: number): void {
    this.#leaveStep();
    this.#atEnd = false;
    this.#stalled = false;
    this.#proof = undefined;
    this.#due = at;
  }

  #leaveStep(): void {
    if (this.#inStep) {
      this.#pairsNeeded = this.#inStepFor < WORTH ? Math.min(PAIRS_MOST, 2 * this.#pairsNeeded) : 1;
    }
    this.#inStep = false;
    this.#pairs = 0;
  }
}
