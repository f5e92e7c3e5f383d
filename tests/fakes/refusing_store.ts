/** A store whose keys are refused from some request on, until that is mended. */
import { TidemarkError } from "../../pipeline/errors.ts";
import type { ObjectStore } from "../../pipeline/model/mod.ts";

export class RefusingStore {
  readonly store: ObjectStore;
  #left = Infinity;
  /** Whether what is asked for is done although the answer is a refusal: another server's answer, or a lost one. */
  #done = false;
  refused = 0;

  constructor(readonly inner: ObjectStore) {
    this.store = {
      ...inner,
      location: inner.location,
      head: (...all) => this.#ask(() => inner.head(...all)),
      get: (...all) => this.#ask(() => inner.get(...all)),
      put: (...all) => this.#ask(() => inner.put(...all)),
      copyFrom: (...all) => this.#ask(() => inner.copyFrom(...all)),
      delete: (...all) => this.#ask(() => inner.delete(...all)),
      folders: (...all) => this.#ask(() => inner.folders(...all)),
      list: (...all) => this.#list(() => inner.list(...all)),
    };
  }

  /** After so many more requests. `done`: the first of them is carried out all the same. */
  refuse(after = 0, { done = false } = {}): void {
    this.#left = after;
    this.#done = done;
  }

  mend(): void {
    this.#left = Infinity;
  }

  async #ask<T>(request: () => Promise<T>): Promise<T> {
    if (this.#left-- > 0) return await request();
    if (this.#done) await request();
    this.#done = false;
    throw this.#refusal();
  }

  async *#list<T>(request: () => AsyncIterable<T>): AsyncIterable<T> {
    if (this.#left-- <= 0) throw this.#refusal();
    yield* request();
  }

  #refusal(): TidemarkError {
    this.refused++;
    return new TidemarkError("authentication", "The keys are refused", { hint: "Give it keys that may write." });
  }
}
