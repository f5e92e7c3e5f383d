/**
 * Milvus' hybrid timestamp: unsigned 64 bits, unix milliseconds << 18 | an 18-bit counter; issued by the cluster's
 * timestamp oracle. About 4.6e17, so always `bigint`.
 */
export type HybridTs = bigint;

const LOGICAL_BITS = 18n;

/** The largest hybrid timestamp; Milvus marks a dropped channel's checkpoint with it. */
export const MAX_HYBRID_TS: HybridTs = 2n ** 64n - 1n;

/**
 * `ms`: unix milliseconds; `logical`: 0 to 2^18 - 1.
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * import { hybridFromMs } from "./hybrid.ts";
 *
 * assert.equal(hybridFromMs(1_795_000_000_000), 1_795_000_000_000n * 2n ** 18n);
 * assert.equal(hybridFromMs(1, 7n), 2n ** 18n + 7n);
 * ```
 */
export function hybridFromMs(ms: number, logical = 0n): HybridTs {
  return (BigInt(Math.trunc(ms)) << LOGICAL_BITS) | logical;
}

/**
 * Unix milliseconds of a hybrid timestamp.
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * import { hybridFromMs, msOfHybrid } from "./hybrid.ts";
 *
 * assert.equal(msOfHybrid(hybridFromMs(1_795_000_000_000, 7n)), 1_795_000_000_000);
 * ```
 */
export function msOfHybrid(ts: HybridTs): number {
  return Number(ts >> LOGICAL_BITS);
}

/**
 * ISO time of a hybrid timestamp, for people; the logical part is dropped.
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * import { hybridFromMs, isoOfHybrid } from "./hybrid.ts";
 *
 * assert.equal(isoOfHybrid(hybridFromMs(Date.UTC(2026, 10, 19, 14, 5), 7n)), "2026-11-19T14:05:00.000Z");
 * ```
 */
export function isoOfHybrid(ts: HybridTs): string {
  return new Date(msOfHybrid(ts)).toISOString();
}
