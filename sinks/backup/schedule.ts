/** The one place that imports croner: when is the next base due by the calendar. */
import { Cron } from "croner";

export function isCronExpression(text: string): boolean {
  try {
    new Cron(text, { paused: true }).stop();
    return true;
  } catch {
    return false;
  }
}

/** Unix ms of the first time of `expression` after `afterMs`; undefined if there is none. */
export function nextRun(expression: string, timeZone: string, afterMs: number): number | undefined {
  return new Cron(expression, { paused: true, timezone: timeZone }).nextRun(new Date(afterMs))?.getTime();
}
