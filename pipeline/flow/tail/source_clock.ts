/**
 * Whether the source's clock has passed a moment, for pchannels whose log does not say: a tick of any other pchannel tells, and
 * so does the metadata, in which the source saves its clock. This machine's clock may be another, so it is believed only where
 * nobody else speaks, and with a margin.
 */
import { type HybridTs, type MetaSource, msOfHybrid } from "../../model/mod.ts";

export interface SourceClockOptions {
  /** Unix ms by the source's clock, a lower bound; without it only this machine's clock counts. */
  readonly meta: Pick<MetaSource, "clockMs">;
  /** Unix ms. */
  readonly now: () => number;
}

/** By this machine's clock, where the source's own does not go on: it does not run any more, or saves no clock. */
const STRANGE_CLOCK_MS = 60_000;
/** The source saves its clock every three seconds. */
const ASK_MS = 1000;

export class SourceClock {
  readonly #o: SourceClockOptions;
  #newest: HybridTs = 0n;
  #ms = 0;
  #askedAt = Number.NEGATIVE_INFINITY;

  constructor(options: SourceClockOptions) {
    this.#o = options;
  }

  /** A tick of some pchannel. */
  saw(tick: HybridTs): void {
    if (tick > this.#newest) this.#newest = tick;
  }

  /** The newest tick of all pchannels. */
  get newest(): HybridTs {
    return this.#newest;
  }

  async passed(ts: HybridTs, signal: AbortSignal): Promise<boolean> {
    const { meta, now } = this.#o;
    if (this.#newest >= ts || now() >= msOfHybrid(ts) + STRANGE_CLOCK_MS) return true;
    if (now() - this.#askedAt >= ASK_MS) {
      this.#ms = await meta.clockMs?.(signal) ?? 0;
      this.#askedAt = now();
    }
    return this.#ms > msOfHybrid(ts);
  }
}
