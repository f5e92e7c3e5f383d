/**
 * One opened archive, from its opening until it is held. What a person must mend at its storage is no reason to end the run for
 * the other sinks: from then on nothing of it writes any more, as after a kill, and where it stopped is what its state says.
 */
import { type ErrorCode, TidemarkError, toTidemarkError } from "../../errors.ts";

/** Keys that are refused, a bucket that is gone, a full disk. All else ends the run: another run that writes, damage, a fault. */
const HOLDS: ReadonlySet<ErrorCode> = new Set(["authentication", "not_found", "refused"]);

export interface ArchiveLifeOptions {
  readonly work: AbortSignal;
  /** Whether another sink goes on without it; otherwise the run ends with the error. */
  readonly others: () => boolean;
  readonly told: (error: TidemarkError) => void;
}

export class ArchiveLife {
  /** Fires when it is over, or the run. */
  readonly signal: AbortSignal;
  readonly #o: ArchiveLifeOptions;
  readonly #end = new AbortController();
  readonly #over = Promise.withResolvers<void>();
  readonly #running = new Set<Promise<unknown>>();
  #error: TidemarkError | undefined;

  constructor(options: ArchiveLifeOptions) {
    this.#o = options;
    this.signal = AbortSignal.any([options.work, this.#end.signal]);
  }

  /** Why it is held; undefined while it lives. */
  get error(): TidemarkError | undefined {
    return this.#error;
  }

  /** Resolves when it is held. */
  get over(): Promise<void> {
    return this.#over.promise;
  }

  /** Resolves when nothing that was begun with it goes on. */
  async ended(): Promise<void> {
    await Promise.allSettled(this.#running);
  }

  /** Runs work on the archive. False: it is held, and what the work was to do is not done. Throws what ends the run. */
  async keep(work: () => Promise<unknown>, more: (error: TidemarkError) => boolean = () => false): Promise<boolean> {
    if (this.#error !== undefined) return false;
    const running = work();
    this.#running.add(running);
    try {
      await running;
      return true;
    } catch (thrown) {
      if (this.#error === undefined) this.#hold(thrown, more);
      return false;
    } finally {
      this.#running.delete(running);
    }
  }

  /** As {@link keep}, of one that was held before: it is tried again, also where the log ran away from it meanwhile. */
  again(work: () => Promise<unknown>): Promise<boolean> {
    return this.keep(work, ({ code, retriable }) => retriable || code === "position_lost");
  }

  /** Throws what it is not held for. */
  #hold(thrown: unknown, more: (error: TidemarkError) => boolean): void {
    const error = toTidemarkError(thrown);
    if (this.#o.work.aborted || !(HOLDS.has(error.code) || more(error)) || !this.#o.others()) throw thrown;
    this.#error = error;
    this.#end.abort(new TidemarkError("aborted", "Its sink is held"));
    this.#over.resolve();
    this.#o.told(error);
  }
}
