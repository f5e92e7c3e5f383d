/** A store whose keys are refused from some request on, or that does not answer any more, until that is mended. */
import { abortable } from "../../pipeline/abortable.ts";
import { TidemarkError } from "../../pipeline/errors.ts";
import type { ObjectStore } from "../../pipeline/model/mod.ts";

export class RefusingStore {
  readonly store: ObjectStore;
  #left = Infinity;
  /** Whether what is asked for is done although the answer is a refusal: another server's answer, or a lost one. */
  #done = false;
  #as: TidemarkError | undefined;
  #hangs: PromiseWithResolvers<void> | undefined;
  #deaf = false;
  refused = 0;
  /** Requests that got no answer. */
  hung = 0;

  constructor(readonly inner: ObjectStore) {
    this.store = {
      ...inner,
      location: inner.location,
      head: (...all) => this.#ask(() => inner.head(...all), all),
      get: (...all) => this.#ask(() => inner.get(...all), all),
      put: (...all) => this.#ask(() => inner.put(...all), all),
      copyFrom: (...all) => this.#ask(() => inner.copyFrom(...all), all),
      delete: (...all) => this.#ask(() => inner.delete(...all), all),
      folders: (...all) => this.#ask(() => inner.folders(...all), all),
      list: (...all) => this.#list(() => inner.list(...all), all),
    };
  }

  /** After so many more requests. `done`: the first of them is carried out all the same. `as`: left out, as wrong keys. */
  refuse(after = 0, { done = false, as }: { readonly done?: boolean; readonly as?: TidemarkError } = {}): void {
    this.#left = after;
    this.#done = done;
    this.#as = as;
  }

  /** Requests get no answer; their signals end them, unless it is `deaf`. */
  hang({ deaf = false } = {}): void {
    this.#deaf = deaf;
    this.#hangs = Promise.withResolvers<void>();
  }

  mend(): void {
    this.#left = Infinity;
    this.#hangs?.resolve();
    this.#hangs = undefined;
  }

  async #answers(given: readonly unknown[]): Promise<void> {
    if (this.#hangs === undefined) return;
    this.hung++;
    const signal = given.find((one) => one instanceof AbortSignal);
    await (signal === undefined || this.#deaf ? this.#hangs.promise : abortable(this.#hangs.promise, signal));
  }

  async #ask<T>(request: () => Promise<T>, given: readonly unknown[]): Promise<T> {
    await this.#answers(given);
    if (this.#left-- > 0) return await request();
    if (this.#done) await request();
    this.#done = false;
    throw this.#refusal();
  }

  async *#list<T>(request: () => AsyncIterable<T>, given: readonly unknown[]): AsyncIterable<T> {
    await this.#answers(given);
    if (this.#left-- <= 0) throw this.#refusal();
    yield* request();
  }

  #refusal(): TidemarkError {
    this.refused++;
    return this.#as ??
      new TidemarkError("authentication", "The keys are refused", { hint: "Give it keys that may write." });
  }
}
