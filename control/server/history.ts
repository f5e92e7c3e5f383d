/** Throughput and lag of the last hour, for charts. */
import type { RunStatus } from "../../pipeline/model/mod.ts";

export interface Sample {
  /** Unix ms. */
  readonly at: number;
  readonly lagMs: number;
  readonly rowsPerSec: number;
  readonly bytesPerSec: number;
}

const EVERY_MS = 10_000;
const SPAN_MS = 3_600_000;

export class History {
  readonly #samples: Sample[] = [];

  /** Takes one sample in ten seconds: the one with the largest lag of the time, and its rates. */
  add({ lagMs, rates }: RunStatus, at: number): void {
    const last = this.#samples.at(-1);
    const sample = { at, lagMs, ...rates };
    if (last === undefined || at - last.at >= EVERY_MS) this.#samples.push(sample);
    else if (lagMs > last.lagMs) this.#samples[this.#samples.length - 1] = { ...sample, at: last.at };
    while (this.#samples.length > 0 && this.#samples[0]!.at < at - SPAN_MS) this.#samples.shift();
  }

  list(): readonly Sample[] {
    return this.#samples;
  }
}
