/** Up to when a pchannel is known to have been silent, while others go on. */
import type { HybridTs, TickGroup } from "../../model/mod.ts";

/** What the source has stamped is in its log after so long, if it is written at all. */
const WRITTEN_MS = 1000;

export class SilentTime {
  readonly #now: () => number;
  #since: { readonly offset: bigint; readonly newest: HybridTs; readonly at: number } | undefined;

  constructor(now: () => number = () => performance.now()) {
    this.#now = now;
  }

  /**
   * `group`: the log ends; `newest`: the newest tick of all pchannels by now. What was the newest a while ago, when the log ended
   * at the same place, is passed: undefined while that is not known.
   */
  upTo({ end }: TickGroup, newest: HybridTs): HybridTs | undefined {
    const since = this.#since;
    const at = this.#now();
    const next = { offset: end!.offset, newest, at };
    if (since === undefined || since.offset !== next.offset) {
      this.#since = next;
      return undefined;
    }
    if (at - since.at < WRITTEN_MS) return undefined;
    this.#since = next;
    return since.newest;
  }
}
