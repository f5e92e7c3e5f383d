/** What a run holds while nothing goes out. */
import type { TidemarkSetup } from "./tidemark_process.ts";

export interface Stall {
  /** Largest value that the sampler gave. */
  readonly rss: number;
  /** Largest number of bytes in flight, and their limit. */
  readonly inFlight: number;
  readonly limit: number;
}

/** Watches a run for `seconds`, whose target does not answer. */
export async function stalledFor(seconds: number, setup: TidemarkSetup, rssNow: () => number): Promise<Stall> {
  let rss = 0;
  let inFlight = 0;
  let limit = 0;
  for (const end = performance.now() + seconds * 1000; performance.now() < end;) {
    rss = Math.max(rss, rssNow());
    const status = await setup.status();
    inFlight = Math.max(inFlight, status?.inFlightBytes ?? 0);
    limit = status?.inFlightLimitBytes ?? limit;
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
  return { rss, inFlight, limit };
}
