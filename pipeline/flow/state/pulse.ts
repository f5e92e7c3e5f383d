/** Keeps the written status true while nothing is acknowledged: a run that only waits has no checkpoint of its own. */
import type { Waits } from "../../waits.ts";

export interface PulseOptions {
  readonly waits: Pick<Waits, "list">;
  /** Asks for a checkpoint soon. */
  readonly touch: () => void;
  /** Calls `look` again and again until what it returns is called. Default: a timer of 500 ms. */
  readonly every?: (look: () => void) => () => void;
}

const LOOK_MS = 500;
/** Looks after which the status is written although nothing changed. */
const IDLE_LOOKS = 20;

/** Looks until it is disposed. */
export function startPulse({ waits, touch, every = byTimer }: PulseOptions): Disposable {
  let told = "";
  let looks = 0;
  const stop = every(() => {
    // Reasons change with every attempt, who waits and until when does not.
    const now = waits.list().map(({ component, collection = "", nextMs = 0 }) => `${component} ${collection} ${nextMs}`)
      .sort().join("\n");
    if (now === told && ++looks < IDLE_LOOKS) return;
    told = now;
    looks = 0;
    touch();
  });
  return { [Symbol.dispose]: stop };
}

function byTimer(look: () => void): () => void {
  const timer = setInterval(look, LOOK_MS);
  return () => clearInterval(timer);
}
