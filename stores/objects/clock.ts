/** What a server's answers say of its clock. */

export interface ServerClock {
  /** The `Date` of an answer that has just come. */
  heard(date: string | Date | null | undefined): void;
  /** By how much the server is ahead of this machine, ms, to a second; undefined before the first answer. */
  aheadMs(): number | undefined;
}

export function createServerClock(now: () => number = Date.now): ServerClock {
  let ahead: number | undefined;
  return {
    heard(date) {
      const time = date instanceof Date ? date.getTime() : Date.parse(date ?? "");
      if (!Number.isNaN(time)) ahead = time - now();
    },
    aheadMs: () => ahead,
  };
}
