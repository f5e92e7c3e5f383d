/**
 * Milvus' hybrid timestamp: unsigned 64 bits, unix milliseconds << 18 | an 18-bit counter; issued by the cluster's
 * timestamp oracle. About 4.6e17, so always `bigint`.
 */
export type HybridTs = bigint;

const LOGICAL_BITS = 18n;

/** The largest hybrid timestamp; Milvus marks a dropped channel's checkpoint with it. */
export const MAX_HYBRID_TS: HybridTs = 2n ** 64n - 1n;

/** `ms`: unix milliseconds; `logical`: 0 to 2^18 - 1. */
export function hybridFromMs(ms: number, logical = 0n): HybridTs {
  return (BigInt(Math.trunc(ms)) << LOGICAL_BITS) | logical;
}

/** Unix milliseconds of a hybrid timestamp. */
export function msOfHybrid(ts: HybridTs): number {
  return Number(ts >> LOGICAL_BITS);
}

/** ISO time of a hybrid timestamp, for people; the logical part is dropped. */
export function isoOfHybrid(ts: HybridTs): string {
  return new Date(msOfHybrid(ts)).toISOString();
}
