/** What a verification is asked, and what it says. */
import { createHash } from "node:crypto";
import type { Restorable } from "./restorable.ts";

export interface VerifyOptions {
  /** Share of the objects whose bytes are read, 0 to 1. Default 1. Existence and size are always checked for all. */
  readonly sample?: number;
  /** Another seed picks other objects: runs with changing seeds go through all of them. Default: the day. */
  readonly seed?: string;
  /** Decode every file and count its rows. Default false. */
  readonly deep?: boolean;
  /** Objects read at once. Default 8. */
  readonly parallel?: number;
  readonly onProgress?: (
    done: { readonly objects: number; readonly bytes: bigint; readonly ofObjects: number },
  ) => void;
}

/** `lost`: gone for good; `delayed`: may still come; `damaged`: there, but not what it should be; `surplus`: nobody names it. */
export interface VerifyFinding {
  readonly kind: "lost" | "delayed" | "damaged" | "gap" | "surplus";
  readonly key: string;
  readonly detail: string;
}

export interface VerifyReport {
  readonly name: string;
  /** False: it is encrypted and its key is not at hand, so that only sizes and checksums of what is stored were compared. */
  readonly contentsRead: boolean;
  /** True if nothing is lost or damaged and the archive has no gap; `delayed` and `surplus` do not count. */
  readonly ok: boolean;
  readonly found: number;
  readonly delayed: number;
  readonly lost: number;
  readonly damaged: number;
  /** Objects whose bytes were read, and how many. */
  readonly read: { readonly objects: number; readonly bytes: bigint };
  /** Objects without any checksum: milvus-backup writes none. */
  readonly unchecked: number;
  /** Rows decoded, with `deep` only. */
  readonly rows: bigint | undefined;
  /** Segments of storage V3 at the source, here written as V2: their files are no copies. */
  readonly rewrittenSegments: number;
  readonly findings: readonly VerifyFinding[];
  readonly restorable: Restorable | undefined;
}

/** Spread evenly, whatever the names: by a hash of seed and path. */
export function isSampled(path: string, { sample, seed }: { readonly sample: number; readonly seed: string }): boolean {
  if (sample >= 1) return true;
  return createHash("md5").update(`${seed}/${path}`).digest().readUInt32LE(0) < sample * 2 ** 32;
}
