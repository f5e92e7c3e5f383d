/** Files of built indexes, for `inspect`. */
import { IndexState } from "../../pipeline/proto/gen/common_pb.ts";
import {
  IndexStorePathVersion,
  type SegmentIndex,
  SegmentIndexSchema,
} from "../../pipeline/proto/gen/index_coord_pb.ts";
import { decodeValue } from "./decode.ts";
import { idOf, isTombstone, partsOf } from "./keys.ts";

export class IndexFileKeys {
  readonly #built: SegmentIndex[] = [];

  /** Takes one key of `segment-index/`; others are left alone. Throws `damaged`. */
  apply(key: string, value: Uint8Array): void {
    if (!key.startsWith("segment-index/") || isTombstone(value)) return;
    idOf(partsOf(key, "segment-index/")[3], key);
    const index = decodeValue(SegmentIndexSchema, value, key);
    if (index.state === IndexState.Finished && !index.deleted) this.#built.push(index);
  }

  /** Segment id -> files of the index below the storage root, of finished builds. */
  of(indexId: bigint): ReadonlyMap<bigint, readonly string[]> {
    const files = new Map<bigint, string[]>();
    for (const index of this.#built) {
      if (index.indexID !== indexId) continue;
      const folder = folderOf(index);
      files.set(index.segmentID, [
        ...files.get(index.segmentID) ?? [],
        ...index.indexFileKeys.map((file) => `${folder}/${file}`),
      ]);
    }
    return files;
  }
}

function folderOf(index: SegmentIndex): string {
  const { buildID, indexVersion, partitionID, segmentID, collectionID } = index;
  return index.indexStorePathVersion === IndexStorePathVersion.COLLECTION_ROOTED
    ? `index_v1/${collectionID}/${partitionID}/${segmentID}/${buildID}/${indexVersion}`
    : `index_files/${buildID}/${indexVersion}/${partitionID}/${segmentID}`;
}
