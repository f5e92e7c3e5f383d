/** What a server's answers say of its clock. */

export interface ServerClock {
  /** The `Date` of an answer that has just come. */
  heard(date: string | Date | null | undefined): void;
  /** By how much the server is ahead of this machine, ms, to a second; undefined before the first answer. */
  aheadMs(): number | undefined;
}

/** Services refuse requests that are a quarter of an hour off, logins those of five minutes. */
export const CLOCK_WARN_MS = 5 * 60_000;

/** By how much the server that sent this `Date` just now is ahead, ms, to a second; undefined where it sent none. */
function aheadOf(date: string | Date | null | undefined, nowMs: number): number | undefined {
  const time = date instanceof Date ? date.getTime() : Date.parse(date ?? "");
  return Number.isNaN(time) ? undefined : time - nowMs;
}

/** What to do where the server that sent this `Date` with its refusal has quite another time; undefined where it has not. */
export function clockHint(date: string | Date | null | undefined, nowMs: number = Date.now()): string | undefined {
  const ahead = aheadOf(date, nowMs);
  if (ahead === undefined || Math.abs(ahead) < CLOCK_WARN_MS) return undefined;
  const by = `${Math.round(Math.abs(ahead) / 60_000)} min ${ahead > 0 ? "behind" : "ahead of"}`;
  return `This machine's clock is ${by} the server's: set it, or the server's.`;
}

export function createServerClock(now: () => number = Date.now): ServerClock {
  let ahead: number | undefined;
  return {
    heard(date) {
      ahead = aheadOf(date, now()) ?? ahead;
    },
    aheadMs: () => ahead,
  };
}
