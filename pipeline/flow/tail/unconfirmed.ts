/** Records at the end of a log that no time tick confirms: they are not applied before one does, and who asks is told. */
import { isoOfHybrid, type TickGroup } from "../../model/mod.ts";
import { type OpenWait, SLOW_MS, type Waits } from "../../waits.ts";

/** Of one pchannel. */
export class Unconfirmed implements Disposable {
  readonly #waits: Pick<Waits, "begin">;
  readonly #pchannel: string;
  #wait: OpenWait | undefined;

  constructor(waits: Pick<Waits, "begin">, pchannel: string) {
    this.#waits = waits;
    this.#pchannel = pchannel;
  }

  see({ end }: Pick<TickGroup, "end">): void {
    if (end?.waiting === undefined) return this[Symbol.dispose]();
    if (this.#wait !== undefined || end.sinceMs < SLOW_MS) return;
    this.#wait = this.#waits.begin(
      { component: "sources.log", aside: true },
      `The log of ${this.#pchannel} ends with records of ${
        isoOfHybrid(end.waiting)
      } that no time tick confirms: the source has stopped writing there`,
    );
  }

  [Symbol.dispose](): void {
    this.#wait?.[Symbol.dispose]();
    this.#wait = undefined;
  }
}
