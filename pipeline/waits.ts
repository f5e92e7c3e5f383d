/**
 * All that waits, in one place: who, for what, since when, and when it is tried again. Whatever stands still for longer than
 * a person would watch without a word is noted here, and nowhere else; the status shows the list.
 */

export interface Waiter {
  /** What is waited for, as the configuration names it: `sinks.replica`, `sources.log`; `run`: the run itself. */
  readonly component: string;
  /** `database.collection` where only that one waits; the others go on. */
  readonly collection?: string;
  /** All else goes on: the run as a whole does not wait. */
  readonly aside?: boolean;
}

export interface Wait extends Waiter {
  readonly reason: string;
  /** Unix ms. */
  readonly sinceMs: number;
  /** Unix ms of the next attempt, where there is one that is known. */
  readonly nextMs: number | undefined;
}

/** A wait that goes on until it is disposed. */
export interface OpenWait extends Disposable {
  /** Another reason or another next attempt of the same wait: since when stays. */
  say(reason: string, nextMs?: number): void;
}

/** What takes longer than this without an answer is a wait. */
export const SLOW_MS = 5_000;

export class Waits {
  readonly #now: () => number;
  readonly #slowMs: number;
  readonly #open = new Map<symbol, Wait>();

  /** `now`: unix ms; `slowMs`: of work after which it is a wait. */
  constructor(now: () => number = Date.now, slowMs: number = SLOW_MS) {
    this.#now = now;
    this.#slowMs = slowMs;
  }

  begin(waiter: Waiter, reason: string, nextMs?: number): OpenWait {
    return this.#beginAt(this.#now(), waiter, reason, nextMs);
  }

  /**
   * Runs `work`; while it takes longer than `afterMs` it is shown as a wait, since its beginning. `reason` is asked when it
   * is shown and is a sentence.
   */
  async during<T>(
    waiter: Waiter,
    reason: string | (() => string),
    work: () => Promise<T>,
    afterMs: number = this.#slowMs,
  ): Promise<T> {
    const began = this.#now();
    let wait: OpenWait | undefined;
    const timer = setTimeout(() => {
      wait = this.#beginAt(began, waiter, typeof reason === "string" ? reason : reason());
    }, afterMs);
    try {
      return await work();
    } finally {
      clearTimeout(timer);
      wait?.[Symbol.dispose]();
    }
  }

  /** The oldest first. What waits twice for the same is there once. */
  list(): Wait[] {
    const found = new Map<string, Wait>();
    for (const wait of [...this.#open.values()].sort((a, b) => a.sinceMs - b.sinceMs)) {
      const key = `${wait.component}\n${wait.collection ?? ""}\n${wait.reason}`;
      if (!found.has(key)) found.set(key, wait);
    }
    return [...found.values()];
  }

  #beginAt(sinceMs: number, waiter: Waiter, reason: string, nextMs?: number): OpenWait {
    const key = Symbol();
    this.#open.set(key, { ...waiter, reason, sinceMs, nextMs });
    return {
      say: (reason, nextMs) => {
        if (this.#open.has(key)) this.#open.set(key, { ...waiter, reason, sinceMs, nextMs });
      },
      [Symbol.dispose]: () => void this.#open.delete(key),
    };
  }
}
