/** A key of etcd, and ranges of keys. */
import { Buffer } from "node:buffer";
import type { WireKv } from "./wire.ts";

export interface EtcdKv {
  readonly key: string;
  readonly value: Uint8Array;
  readonly createRevision: bigint;
  readonly modRevision: bigint;
  /** Number of writes since the key was created. */
  readonly version: bigint;
  /** 0 = none. */
  readonly leaseId: bigint;
}

/** The first key behind all keys that begin with `prefix`; "\0" means "no end" to etcd. */
export function prefixEnd(prefix: string): Uint8Array {
  const end = Buffer.from(prefix);
  for (let at = end.length - 1; at >= 0; at--) {
    if (end[at]! < 0xff) {
      end[at]!++;
      return end.subarray(0, at + 1);
    }
  }
  return Buffer.from([0]);
}

export function kvOf(kv: WireKv): EtcdKv {
  return {
    key: Buffer.from(kv.key).toString("utf8"),
    value: kv.value,
    createRevision: BigInt(kv.create_revision),
    modRevision: BigInt(kv.mod_revision),
    version: BigInt(kv.version),
    leaseId: BigInt(kv.lease),
  };
}
