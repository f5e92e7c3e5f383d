/**
 * One opened archive, from its opening until it is held. What a person must mend at its storage is no reason to end the run for
 * the other sinks: from then on nothing of it writes any more, as after a kill, and where it stopped is what its state says.
 */
import { type ErrorCode, TidemarkError, toTidemarkError } from "../../errors.ts";
import { rest } from "../../pause.ts";

/** Keys that are refused, a bucket that is gone, a full disk. All else ends the run: another run that writes, damage, a fault. */
const HOLDS: ReadonlySet<ErrorCode> = new Set(["authentication", "not_found", "refused"]);

export interface ArchiveLifeOptions {
  readonly work: AbortSignal;
  /** Whether another sink goes on without it; otherwise the run ends with the error. */
  readonly others: () => boolean;
  readonly told: (error: TidemarkError) => void;
  /** What its storage has left without an answer for `silentMs` by now; undefined: nothing. */
  readonly silent: (silentMs: number) => TidemarkError | undefined;
  /** Work of which the others may wait is given up after so long without an answer, ms. */
  readonly silentMs: number;
}

export interface KeepOptions {
  /** What it is held for beside what always holds it. */
  readonly more?: (error: TidemarkError) => boolean;
  /** Nobody waits for it: it may go on without an answer for as long as it takes. Default false. */
  readonly patient?: boolean;
}

export class ArchiveLife {
  /** Fires when it is over, or the run. */
  readonly signal: AbortSignal;
  readonly #o: ArchiveLifeOptions;
  readonly #end = new AbortController();
  readonly #over = Promise.withResolvers<void>();
  readonly #running = new Set<Promise<unknown>>();
  /** Lets each of those go on who wait for its work. */
  readonly #leaving = new Set<() => void>();
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

  /** Resolves when nothing that was begun with it goes on, or after `longestMs`. */
  async ended(longestMs: number): Promise<void> {
    const ended = new AbortController();
    const all = Promise.allSettled(this.#running).then(() => ended.abort());
    await (longestMs === Infinity ? all : rest(longestMs, ended.signal));
  }

  /** Runs work on the archive. False: it is held, and what the work was to do is not done. Throws what ends the run. */
  async keep(
    work: () => Promise<unknown>,
    { more = () => false, patient = false }: KeepOptions = {},
  ): Promise<boolean> {
    if (this.#error !== undefined) return false;
    const running = work();
    this.#running.add(running);
    const done = () => void this.#running.delete(running);
    running.then(done, done);
    const left = Promise.withResolvers<void>();
    this.#leaving.add(left.resolve);
    try {
      using _watch = patient ? undefined : this.#watchSilence();
      // What hangs may do so for ever, whatever its signal says: nobody waits for it once it is held.
      await Promise.race([running, left.promise]);
      return this.#error === undefined;
    } catch (thrown) {
      if (this.#error === undefined) this.#hold(thrown, more);
      return false;
    } finally {
      this.#leaving.delete(left.resolve);
    }
  }

  /** As {@link keep}, of one that was held before: it is tried again, also where the log ran away from it meanwhile. */
  again(work: () => Promise<unknown>): Promise<boolean> {
    return this.keep(work, { more: ({ code, retriable }) => retriable || code === "position_lost", patient: true });
  }

  /** Holds it where the storage does not answer from the beginning of the watch to its end, as if it had refused. */
  #watchSilence(): Disposable {
    const { silent, silentMs, work, others } = this.#o;
    let timer: ReturnType<typeof setTimeout>;
    const look = () => {
      const error = silent(silentMs);
      if (error !== undefined && !work.aborted && this.#error === undefined && others()) this.#holdFor(error);
      else timer = setTimeout(look, silentMs / 4);
    };
    timer = setTimeout(look, silentMs);
    return { [Symbol.dispose]: () => clearTimeout(timer) };
  }

  /** Throws what it is not held for. */
  #hold(thrown: unknown, more: (error: TidemarkError) => boolean): void {
    const error = toTidemarkError(thrown);
    if (this.#o.work.aborted || !(HOLDS.has(error.code) || more(error)) || !this.#o.others()) throw thrown;
    this.#holdFor(error);
  }

  #holdFor(error: TidemarkError): void {
    this.#error = error;
    this.#end.abort(new TidemarkError("aborted", "Its sink is held"));
    this.#over.resolve();
    for (const leave of this.#leaving) leave();
    this.#o.told(error);
  }
}
