/**
 * In which order groups may be checkpointed: lanes of a pchannel finish in any order, but the position moves only over
 * groups all of whose lanes are done, oldest first.
 */
import type { TickGroup } from "../../model/mod.ts";

interface Entry {
  readonly group: TickGroup;
  open: number;
}

/** One per sink and pchannel. */
export class AckLedger {
  #entries: Entry[] = [];
  readonly #advance: (group: TickGroup) => void;
  readonly #byGroup = new Map<TickGroup, Entry>();

  /** `advance` is called with each group, in order, once it and all before it are done. */
  constructor(advance: (group: TickGroup) => void) {
    this.#advance = advance;
  }

  /** A group enters with the number of acknowledgements it needs; none: it is done as soon as its turn comes. */
  open(group: TickGroup, acknowledgements: number): void {
    const entry = { group, open: acknowledgements };
    this.#entries.push(entry);
    this.#byGroup.set(group, entry);
    if (acknowledgements === 0) this.#drain();
  }

  acknowledge(group: TickGroup): void {
    const entry = this.#byGroup.get(group);
    if (entry === undefined) return;
    entry.open--;
    if (entry.open === 0) this.#drain();
  }

  /** Groups that are not done yet. */
  get pending(): number {
    return this.#entries.length;
  }

  #drain(): void {
    let done = 0;
    while (done < this.#entries.length && this.#entries[done]!.open === 0) {
      const { group } = this.#entries[done]!;
      this.#byGroup.delete(group);
      done++;
      this.#advance(group);
    }
    if (done > 0) this.#entries = this.#entries.slice(done);
  }
}
