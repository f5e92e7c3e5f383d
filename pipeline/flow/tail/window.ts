/**
 * The byte window over everything that was read from the log and not yet acknowledged by every sink. RxJS has no
 * back-pressure, so a reader takes credit here before it buffers what a fetch brought, and the sinks' acknowledgements
 * give it back.
 *
 * One rule beyond the limit keeps barriers free of deadlock: a reader none of whose released groups is unacknowledged may
 * always go on. A barrier (drop partition, …) has one timestamp on all pchannels, and the reader that is furthest behind
 * has passed no open barrier, so its own groups drain, so it can always reach what the others wait for. Memory stays
 * bounded: such a reader holds one fetch, or what lies between two time ticks.
 */
import type { CreditGate } from "../../model/mod.ts";

interface Waiter {
  readonly bytes: number;
  readonly reader: ReaderWindow;
  readonly wake: () => void;
}

export class Window {
  readonly limit: number;
  readonly #full: (work: () => Promise<void>) => Promise<void>;
  #used = 0;
  #waiting: Waiter[] = [];

  /** `limit`: bytes in flight, `limits.in_flight`. `full`: runs each wait for credit, so that a long one can be shown. */
  constructor(limit: number, full: (work: () => Promise<void>) => Promise<void> = (work) => work()) {
    this.limit = limit;
    this.#full = full;
  }

  /** Bytes read and not yet given back. */
  get used(): number {
    return this.#used;
  }

  reader(): ReaderWindow {
    return new ReaderWindow(this);
  }

  /** @internal */
  async take(reader: ReaderWindow, bytes: number, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    if (this.#waiting.length > 0 || !this.#fits(reader, bytes)) {
      if (!(reader.outstanding === 0)) await this.#full(() => this.#wait(reader, bytes, signal));
    }
    this.#used += bytes;
  }

  /** @internal */
  give(bytes: number): void {
    this.#used -= bytes;
    this.wakeUp();
  }

  /** @internal Lets through, in order of arrival, every waiter that fits by now. */
  wakeUp(): void {
    const still: Waiter[] = [];
    let planned = 0;
    for (const waiter of this.#waiting) {
      const fits = this.#used + planned + waiter.bytes <= this.limit || waiter.reader.outstanding === 0;
      if (fits && (still.length === 0 || waiter.reader.outstanding === 0)) {
        planned += waiter.bytes;
        waiter.wake();
      } else {
        still.push(waiter);
      }
    }
    this.#waiting = still;
  }

  #fits(reader: ReaderWindow, bytes: number): boolean {
    return this.#used + bytes <= this.limit || reader.outstanding === 0;
  }

  #wait(reader: ReaderWindow, bytes: number, signal: AbortSignal): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const onAbort = () => {
      this.#waiting = this.#waiting.filter((other) => other !== waiter);
      reject(signal.reason);
    };
    const waiter: Waiter = {
      bytes,
      reader,
      wake: () => {
        signal.removeEventListener("abort", onAbort);
        resolve();
      },
    };
    signal.addEventListener("abort", onAbort, { once: true });
    this.#waiting.push(waiter);
    return promise;
  }
}

/** One pchannel reader's side of the window. */
export class ReaderWindow implements CreditGate {
  readonly #window: Window;
  #released = 0;

  constructor(window: Window) {
    this.#window = window;
  }

  /** Bytes of this reader's groups that went downstream and are not acknowledged. */
  get outstanding(): number {
    return this.#released;
  }

  take(bytes: number, signal: AbortSignal): Promise<void> {
    return this.#window.take(this, bytes, signal);
  }

  /** Credit of records that led to no event. */
  give(bytes: number): void {
    this.#window.give(bytes);
  }

  /** A group of `bytes` goes downstream. */
  release(bytes: number): void {
    this.#released += bytes;
  }

  /** That group is acknowledged by every sink. */
  acknowledge(bytes: number): void {
    this.#released -= bytes;
    this.#window.give(bytes);
  }
}
