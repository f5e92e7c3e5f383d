/**
 * Whether a collection's files are encrypted (2.6: by a database's key, which a cipher plugin of Milvus holds). Nothing in the
 * files can be read without it, and a copy of them without the key that Milvus gives out beside them is of no use to anybody.
 */
import { TidemarkError } from "../../pipeline/errors.ts";
import type { ObjectInfo, Segment } from "../../pipeline/model/mod.ts";
import { bytesSource } from "../../stores/mod.ts";
import { isEnvelope, readDescriptor } from "./envelope.ts";
import type { ListingPlace } from "./listing.ts";

export interface SegmentFile {
  readonly segment: Segment;
  /** One of its files of rows, below the storage root. */
  readonly path: string;
}

/** Descriptors are shorter, the key in them included. */
const HEAD_BYTES = 4096;
/** What an encrypted Parquet file begins with. */
const ENCRYPTED_PARQUET = "PARE";

/**
 * A key is a database's from its creation on, so one file tells it of a collection; the oldest and the newest segment are asked,
 * for a collection whose database was given a key meanwhile. What was not listed is not asked.
 */
export async function encryptedSegments(
  { store, keyOf }: ListingPlace,
  files: readonly SegmentFile[],
  listed: ReadonlyMap<string, ObjectInfo>,
  signal: AbortSignal,
): Promise<SegmentFile[]> {
  const there = files.filter(({ path }) => listed.has(path)).sort((a, b) => a.segment.id < b.segment.id ? -1 : 1);
  const asked = [...new Set([there.at(0), there.at(-1)])].filter((one) => one !== undefined);
  const found: SegmentFile[] = [];
  for (const one of asked) {
    const end = Math.min(HEAD_BYTES, Number(listed.get(one.path)!.size));
    try {
      const head = await store.get(keyOf(one.path), { start: 0, end }, signal);
      if (await isEncrypted(head, one.path)) found.push(one);
    } catch (error) {
      // Gone since it was listed: whoever reads it says so.
      if (!(error instanceof TidemarkError) || error.code !== "not_found") throw error;
    }
  }
  return found;
}

async function isEncrypted(head: Uint8Array, what: string): Promise<boolean> {
  if (!isEnvelope(head)) return String.fromCharCode(...head.subarray(0, 4)) === ENCRYPTED_PARQUET;
  try {
    await readDescriptor(bytesSource(head), what);
    return false;
  } catch (error) {
    if (error instanceof TidemarkError && error.code === "unsupported") return true;
    // Not whole: whoever reads it says so.
    if (error instanceof TidemarkError && error.code === "damaged") return false;
    throw error;
  }
}
