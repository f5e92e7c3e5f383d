/** Changes of a catalog, for whoever watches it. */
import type { CatalogChange } from "../../../pipeline/model/mod.ts";

export class Changes {
  readonly #all: CatalogChange[] = [];
  #changed = Promise.withResolvers<void>();

  add(change: CatalogChange): void {
    this.#all.push(change);
    this.#changed.resolve();
    this.#changed = Promise.withResolvers();
  }

  /** Those of after a revision, until the signal fires. */
  async *after(revision: bigint, signal: AbortSignal): AsyncGenerator<CatalogChange> {
    const aborted = new Promise<never>((_resolve, reject) =>
      signal.addEventListener("abort", () => reject(signal.reason), { once: true })
    );
    aborted.catch(() => {});
    for (let i = 0;; i++) {
      signal.throwIfAborted();
      while (i >= this.#all.length) await Promise.race([this.#changed.promise, aborted]);
      if (this.#all[i]!.revision > revision) yield this.#all[i]!;
    }
  }
}
