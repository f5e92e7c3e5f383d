/**
 * Where a row of a partition-key collection belongs: the hash partition in which a query by its key looks for it. Milvus
 * takes murmur3 of an int64 (8 bytes, little-endian, without the topmost bit) or CRC-32 of the first 100 bytes of a text,
 * modulo the number of partitions, which are numbered by the ends of their names (pkg/util/typeutil/hash.go, 2.2.9 to 2.6).
 */
import type { Collection } from "../model/mod.ts";

/** Bytes of a text that count. */
const TEXT_BYTES = 100;
const TEXT = new TextEncoder();

/**
 * Partition key -> id of its partition; undefined where the partitions are not numbered as such a collection's are.
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * import { homePartition } from "./partition_hash.ts";
 *
 * const partitions = [10n, 11n, 12n].map((id, i) => ({ id, name: `_default_${i}`, createTs: 0n }));
 * const home = homePartition({ partitions })!;
 * assert.ok(partitions.some(({ id }) => id === home("tenant 1")));
 * assert.equal(homePartition({ partitions: [{ id: 1n, name: "_default", createTs: 0n }] }), undefined);
 * ```
 */
export function homePartition(
  { partitions }: Pick<Collection, "partitions">,
): ((value: bigint | string) => bigint) | undefined {
  const byNumber = new Map<number, bigint>();
  for (const { id, name } of partitions) {
    const number = /_(\d+)$/.exec(name)?.[1];
    if (number === undefined) return undefined;
    byNumber.set(Number.parseInt(number, 10), id);
  }
  const count = partitions.length;
  for (let i = 0; i < count; i++) if (!byNumber.has(i)) return undefined;
  if (count === 0) return undefined;
  return (value) => byNumber.get(hashOf(value) % count)!;
}

/**
 * Which of a collection's vchannels carries a key: the same hash, modulo their number, in the order of the metadata
 * (HashPK2Channels of the same file).
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * import { shardOf } from "./partition_hash.ts";
 *
 * assert.equal(shardOf("key", 1), 0);
 * assert.equal(shardOf(7n, 2), shardOf(7n, 2));
 * ```
 */
export function shardOf(key: bigint | string, shards: number): number {
  return shards === 1 ? 0 : hashOf(key) % shards;
}

function hashOf(value: bigint | string): number {
  if (typeof value === "bigint") return murmur3(value) & 0x7fffffff;
  return crc32(TEXT.encode(value).subarray(0, TEXT_BYTES));
}

/** MurmurHash3, 32 bits, seed 0, of eight bytes. */
function murmur3(value: bigint): number {
  const bits = BigInt.asUintN(64, value);
  let hash = 0;
  for (const word of [bits & 0xffffffffn, bits >> 32n]) {
    let k = Math.imul(Number(word), 0xcc9e2d51);
    k = (k << 15) | (k >>> 17);
    hash ^= Math.imul(k, 0x1b873593);
    hash = (hash << 13) | (hash >>> 19);
    hash = (Math.imul(hash, 5) + 0xe6546b64) | 0;
  }
  hash ^= 8;
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return (hash ^ (hash >>> 16)) >>> 0;
}

const CRC_TABLE = Uint32Array.from({ length: 256 }, (_, byte) => {
  let value = byte;
  for (let bit = 0; bit < 8; bit++) value = (value & 1) === 1 ? (value >>> 1) ^ 0xedb88320 : value >>> 1;
  return value;
});

/** CRC-32 as of IEEE 802.3. */
function crc32(bytes: Uint8Array): number {
  let crc = 0xffffffff;
  for (const byte of bytes) crc = (crc >>> 8) ^ CRC_TABLE[(crc ^ byte) & 0xff]!;
  return (crc ^ 0xffffffff) >>> 0;
}
