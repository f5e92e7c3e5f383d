/** Reading one segment, whatever it lies in. */
import { TidemarkError, toTidemarkError } from "../../../pipeline/errors.ts";
import type { ObjectStore } from "../../../pipeline/model/mod.ts";
import { FrameError } from "./frames.ts";
import type { SegmentMeta } from "./keys.ts";

export type Step =
  /** Entries without a gap, the first of them the one that was asked for. Their bytes are one response's. */
  | { readonly kind: "entries"; readonly first: bigint; readonly entries: readonly Uint8Array[] }
  /** The segment is finished, and has no such entry. */
  | { readonly kind: "end" }
  /** Not there yet; the entries that are there end before `next`, those between are not given out yet. */
  | { readonly kind: "nothing"; readonly next: bigint }
  /** Something should be there and is not: it may come in a moment, and must not be taken for the end. `what`: a sentence. */
  | { readonly kind: "missing"; readonly what: string }
  /** Those who have it do not answer. */
  | { readonly kind: "away"; readonly reason: string };

export interface SegmentReader {
  /** The entry `entry` and what can be had with it. Entries later than etcd's last one are never given out. */
  read(entry: bigint, signal: AbortSignal): Promise<Step>;
  /** Number behind the last entry that there is now. */
  end(signal: AbortSignal): Promise<bigint>;
}

export interface SegmentPlace {
  readonly store: ObjectStore;
  /** Key of the segment's folder, without a slash at the end. */
  readonly folder: string;
  /** As etcd says it now. Throws `position_lost` for a segment that is being, or was, removed. */
  readonly meta: () => SegmentMeta;
}

/** Times that bytes which cannot be read are fetched again before they count as damaged. */
const READ_AGAIN = 3;

/** Undefined: no such object. Throws `authentication` with what a missing right to list looks like. */
export async function getObject(
  { store, folder }: SegmentPlace,
  name: string,
  signal: AbortSignal,
  range?: { start: number; end: number },
): Promise<Uint8Array | undefined> {
  const key = `${folder}/${name}`;
  try {
    return await store.get(key, range, signal);
  } catch (thrown) {
    signal.throwIfAborted();
    const error = toTidemarkError(thrown);
    // A bucket that is not there has no objects either, but that is another matter.
    if (error.code === "not_found" && !/^No (bucket|container) /.test(error.message)) return undefined;
    if (error.code !== "authentication") throw error;
    throw new TidemarkError("authentication", error.message, {
      hint:
        "Reading the log needs s3:GetObject below its root, and s3:ListBucket on the bucket: without the latter the " +
        "server says of a block that is not written yet that it is forbidden, and nothing tells the two apart.",
      cause: thrown,
    });
  }
}

/** Reads and parses; bytes that are cut off or broken are fetched again. Undefined: no such object. Throws `damaged`. */
export async function parseObject<T>(
  place: SegmentPlace,
  name: string,
  parse: (bytes: Uint8Array) => T,
  signal: AbortSignal,
  range?: { start: number; end: number },
): Promise<T | undefined> {
  for (let attempt = 1;; attempt++) {
    const bytes = await getObject(place, name, signal, range);
    if (bytes === undefined) return undefined;
    try {
      return parse(bytes);
    } catch (thrown) {
      if (!(thrown instanceof FrameError)) throw thrown;
      if (attempt >= READ_AGAIN) throw damaged(place, name, thrown);
    }
  }
}

export function damaged({ store, folder }: SegmentPlace, name: string, cause: Error): TidemarkError {
  return new TidemarkError("damaged", `${folder}/${name} in ${store.location} cannot be read: ${cause.message}`, {
    hint: "The source's log is broken there: what stands behind it cannot be copied from it. " +
      "on_position_lost does not help; a flush of all collections and a fresh copy (delete the run's state) does.",
    cause,
  });
}

/** The source says now that the segment ends before entries that it had shown. */
export function takenBack({ folder }: SegmentPlace, lastEntry: bigint, seen: bigint): TidemarkError {
  return new TidemarkError(
    "position_lost",
    `Segment ${folder} of the log ends with entry ${lastEntry}, and entry ${seen} of it had been read`,
    {
      hint: "The source's writer took back entries when another one took over, which happens only where its object " +
        "store has no conditional writes. Set on_position_lost: resnapshot to copy afresh, or delete the run's state.",
    },
  );
}
