/** The last things of a list that has no end, each with a number that rises. */
export class Ring<T> {
  readonly #size: number;
  readonly #items: T[] = [];
  #dropped = 0;

  constructor(size: number) {
    this.#size = size;
  }

  add(item: T): void {
    this.#items.push(item);
    // In lots, so that an addition stays cheap.
    if (this.#items.length > this.#size * 1.25) {
      const surplus = this.#items.length - this.#size;
      this.#items.splice(0, surplus);
      this.#dropped += surplus;
    }
  }

  /** All that are kept, the oldest first. */
  list(): readonly T[] {
    return this.#items.slice(-this.#size);
  }

  /** How many there ever were. */
  get count(): number {
    return this.#dropped + this.#items.length;
  }

  /** Those behind the first `seen`, as far as they are kept. */
  after(seen: number): readonly T[] {
    return this.#items.slice(Math.max(0, seen - this.#dropped));
  }
}
