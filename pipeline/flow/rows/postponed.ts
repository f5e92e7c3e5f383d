/** Collections that could not begin with the others: each waits for itself, named, until what keeps it is gone. */
import { TidemarkError } from "../../errors.ts";
import { type Collection, qualifiedName } from "../../model/mod.ts";
import type { OpenWait, Waits } from "../../waits.ts";

export interface Postponement {
  readonly component: "sources.meta" | "sources.log";
  /** `import` passes by itself. */
  readonly kind: "import" | "metadata" | "position";
  readonly reason: string;
}

interface Entry extends Postponement {
  readonly collection: Collection;
  readonly wait: OpenWait;
}

export class Postponed {
  readonly #waits: Waits;
  readonly #entries = new Map<bigint, Entry>();

  constructor(waits: Waits) {
    this.#waits = waits;
  }

  get size(): number {
    return this.#entries.size;
  }

  get collections(): readonly Collection[] {
    return [...this.#entries.values()].map(({ collection }) => collection);
  }

  has(id: bigint): boolean {
    return this.#entries.has(id);
  }

  get(id: bigint): Postponement | undefined {
    return this.#entries.get(id);
  }

  /** Shown until it is released. */
  put(collection: Collection, why: Postponement): void {
    const before = this.#entries.get(collection.id);
    const { component, reason } = why;
    if (before?.component === component) {
      before.wait.say(reason);
      this.#entries.set(collection.id, { ...why, collection, wait: before.wait });
      return;
    }
    before?.wait[Symbol.dispose]();
    const wait = this.#waits.begin({ component, collection: qualifiedName(collection) }, reason);
    this.#entries.set(collection.id, { ...why, collection, wait });
  }

  release(id: bigint): void {
    this.#entries.get(id)?.wait[Symbol.dispose]();
    this.#entries.delete(id);
  }

  /** Why a run that ends leaves it out. */
  errorOf(id: bigint): TidemarkError {
    const { kind, reason } = this.#entries.get(id)!;
    return new TidemarkError(kind === "position" ? "position_lost" : "damaged", reason, {
      hint: "The next run begins with it as soon as it can.",
    });
  }
}
