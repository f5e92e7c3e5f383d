/** Many at once, or one alone: writes of a collection go on beside each other, a rename or drop of it waits for them. */
export class SharedGate {
  #shared = 0;
  #exclusive = false;
  #waiting: { readonly alone: boolean; readonly wake: () => void }[] = [];

  async shared<T>(work: () => Promise<T>): Promise<T> {
    if (this.#exclusive || this.#waiting.length > 0) await this.#wait(false);
    else this.#shared++;
    try {
      return await work();
    } finally {
      this.#shared--;
      this.#next();
    }
  }

  async exclusive<T>(work: () => Promise<T>): Promise<T> {
    if (this.#exclusive || this.#shared > 0 || this.#waiting.length > 0) await this.#wait(true);
    else this.#exclusive = true;
    try {
      return await work();
    } finally {
      this.#exclusive = false;
      this.#next();
    }
  }

  #wait(alone: boolean): Promise<void> {
    return new Promise((wake) => this.#waiting.push({ alone, wake }));
  }

  /** In order of arrival, so that neither side starves. What is woken counts from here on. */
  #next(): void {
    while (!this.#exclusive) {
      const first = this.#waiting[0];
      if (first === undefined || (first.alone && this.#shared > 0)) return;
      this.#waiting.shift();
      if (first.alone) this.#exclusive = true;
      else this.#shared++;
      first.wake();
    }
  }
}
