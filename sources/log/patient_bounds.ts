/** The bounds of a topic, asked for again as long as an outage lasts. */
import { TidemarkError } from "../../pipeline/errors.ts";
import type { LogBounds } from "../../pipeline/model/mod.ts";
import { pause } from "../../pipeline/pause.ts";
import { backoffDelay } from "./backoff.ts";
import type { TopicTailOptions } from "./outage.ts";

export interface PatientBounds extends TopicTailOptions {
  readonly topic: string;
  /** Whether the brokers have ever answered. A wrong address is said at once; from then on an outage is waited out. */
  readonly answered: () => boolean;
  readonly ask: () => Promise<LogBounds>;
}

/** Throws what `ask` does and repeating does not mend. */
export async function patientBounds(
  { topic, answered, ask, onState, random = Math.random, sleep = pause }: PatientBounds,
  signal: AbortSignal,
): Promise<LogBounds> {
  const about = `bounds of ${topic}`;
  for (let failures = 0;; failures++) {
    try {
      const bounds = await ask();
      if (failures > 1) onState?.({ topic: about, state: "up", reason: "" });
      return bounds;
    } catch (thrown) {
      const patient = answered() && !signal.aborted && thrown instanceof TidemarkError && thrown.retriable;
      if (!patient && failures > 1) onState?.({ topic: about, state: "up", reason: "" });
      if (!patient) throw thrown;
      if (failures === 1) onState?.({ topic: about, state: "down", reason: thrown.message });
      await sleep(backoffDelay(failures, random), signal);
    }
  }
}
