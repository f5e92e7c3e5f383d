/**
 * Where the base ends and the tail begins, and what the base needs. Pure functions of one snapshot.
 *
 * For a vchannel the cut is its checkpoint (position, ts; see {@link completeTo}): rows with ts <= cut are base, log entries with
 * ts > cut, read from the position (inclusive), are tail. Nothing else is exact for a sink that applies operations in order.
 */
import { TidemarkError } from "../errors.ts";
import {
  type Collection,
  type Cut,
  type HybridTs,
  qualifiedName,
  type Segment,
  type Snapshot,
  type StoredPosition,
} from "../model/mod.ts";
import { latestTs } from "./time_range.ts";

/**
 * One cut per vchannel of `collections`. A vchannel without a checkpoint yet (a collection of less than a second) starts
 * at its CreateCollection record: the server's own first checkpoint is exactly that.
 * Throws `unsupported` for positions of another queue, `torn` for a live collection whose channel is marked dropped,
 * `damaged` where there is neither checkpoint nor start position.
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * import { FakeSource } from "../../tests/fakes/source.ts";
 * import { makeCuts } from "./cut.ts";
 *
 * const source = new FakeSource(["dml_0"]);
 * const books = source.create("books", "dml_0");
 * const taken = await source.meta.snapshot(AbortSignal.timeout(1000));
 * const [cut] = makeCuts(taken, [books]);
 * assert.equal(cut!.vchannel, books.vchannels[0]);
 * assert.equal(cut!.ts, books.createTs);
 * ```
 */
export function makeCuts(snapshot: Snapshot, collections: readonly Collection[]): Cut[] {
  const dropped = new Set(snapshot.droppedChannels);
  return collections.flatMap((collection) =>
    collection.vchannels.map((vchannel, shard) => {
      const pchannel = collection.pchannels[shard];
      if (pchannel === undefined) {
        throw new TidemarkError(
          "damaged",
          `Collection ${qualifiedName(collection)} names no pchannel for its vchannel ${vchannel}`,
        );
      }
      if (dropped.has(vchannel)) {
        throw new TidemarkError(
          "torn",
          `Channel ${vchannel} of the live collection ${qualifiedName(collection)} is marked as dropped`,
        );
      }
      return {
        vchannel,
        pchannel,
        collectionId: collection.id,
        ...positionOf(snapshot, collection, vchannel, pchannel),
      };
    })
  );
}

function positionOf(
  snapshot: Snapshot,
  collection: Collection,
  vchannel: string,
  pchannel: string,
): { offset: bigint; ts: HybridTs } {
  const checkpoint = snapshot.checkpoints.get(vchannel);
  if (checkpoint !== undefined) {
    if (checkpoint.offset === undefined) {
      const of = checkpoint.queue === undefined ? "of another queue than" : `of ${checkpoint.queue}, not of`;
      throw new TidemarkError(
        "unsupported",
        `The checkpoint of ${vchannel} is a position ${of} the one in sources.log`,
        {
          hint:
            "sources.log must name the queue that the source uses: mq.type of its milvus.yaml, or the key config/mqtype below etcd.rootPath from 2.6 on.",
        },
      );
    }
    // A truncation left nothing of before: there the state is known, and its record is not to come for this channel alone.
    const truncated = collection.truncated?.get(vchannel) ?? 0n;
    const complete = checkpoint.ts === collection.createTs ? checkpoint.ts : completeTo(checkpoint);
    return { offset: checkpoint.offset, ts: truncated > complete ? truncated : complete };
  }
  const unusable = snapshot.unusable?.get(collection.id);
  if (unusable !== undefined) throw new TidemarkError("damaged", unusable);
  const start = collection.startOffsets.get(pchannel);
  if (start === undefined) {
    throw new TidemarkError(
      "damaged",
      `Channel ${vchannel} of ${qualifiedName(collection)} has neither a checkpoint nor a start position`,
      {
        hint:
          "Read the metadata again; if it stays so, the source's metadata is incomplete and the collection must be left out.",
      },
    );
  }
  return { offset: start, ts: collection.createTs };
}

/**
 * Up to where all rows and deletes of a checkpoint's channel are in files. Streaming nodes write two kinds: the time before that
 * of the oldest record that they still hold in memory, and, as 2.6.19 does once it has started again, the time of that record
 * itself. Its place is never behind that record, so that what has the checkpoint's own time can be left to the log. Before 2.6
 * the time is that of a tick, and the place may be behind what has the same.
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * import { completeTo } from "./cut.ts";
 *
 * const checkpoint = { channel: "dml_0_7v0", offset: 4n, ts: 100n };
 * assert.equal(completeTo(checkpoint), 100n);
 * assert.equal(completeTo({ ...checkpoint, streamed: true }), 99n);
 * ```
 */
export function completeTo({ ts, streamed }: StoredPosition): HybridTs {
  return streamed === true ? ts - 1n : ts;
}

/**
 * Segments whose files are base: rows by their own state and lineage, of a live partition and of a channel of the
 * collection, with at least one insert file (a Growing segment appears before its first row) or a manifest, which says
 * itself whether there are any. Segments of an import that
 * is not complete are left out: its completion brings them.
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * import { FakeSource } from "../../tests/fakes/source.ts";
 * import type { Segment } from "../model/mod.ts";
 * import { liveSegments } from "./cut.ts";
 *
 * const source = new FakeSource(["dml_0"]);
 * const books = source.create("books", "dml_0");
 * const taken = await source.meta.snapshot(AbortSignal.timeout(1000));
 * // What counts of a segment here.
 * const segment = {
 *   id: 7n,
 *   collectionId: books.id,
 *   partitionId: books.partitions[0]!.id,
 *   vchannel: books.vchannels[0]!,
 *   class: "rows",
 *   binlogs: [{ fieldId: 100n, childFields: [], files: [{ tsTo: books.createTs + 9n }] }],
 *   deltalogs: [],
 * } as unknown as Segment;
 * const dropped = { ...segment, id: 8n, class: "none" } as Segment;
 * assert.deepEqual(liveSegments({ ...taken, segments: [segment, dropped] }, books).map(({ id }) => id), [7n]);
 * ```
 */
export function liveSegments(snapshot: Snapshot, collection: Collection): Segment[] {
  const partitions = new Set(collection.partitions.map((partition) => partition.id));
  const vchannels = new Set(collection.vchannels);
  const importing = new Set<bigint>();
  for (const task of snapshot.imports) {
    if (task.collectionId !== collection.id) continue;
    if (task.state === "pending" || task.state === "persisted") task.segmentIds.forEach((id) => importing.add(id));
  }
  return snapshot.segments.filter((segment) =>
    segment.collectionId === collection.id && segment.class === "rows" && partitions.has(segment.partitionId) &&
    vchannels.has(segment.vchannel) && !importing.has(segment.id) &&
    (segment.manifestPath !== "" || segment.binlogs.some((field) => field.files.length > 0))
  );
}

/**
 * vchannel -> smallest start position of its live segments: the log offset from which deletes must be read for the base,
 * because metadata names fewer delta logs than exist. Compaction keeps the smallest start position, so no row of a segment
 * is older. A segment that does not say where it starts counts from the collection's creation. A vchannel without
 * live segments is not in the map.
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * import { FakeSource } from "../../tests/fakes/source.ts";
 * import { deleteHorizon } from "./cut.ts";
 *
 * const source = new FakeSource(["dml_0"]);
 * const books = source.create("books", "dml_0");
 * const taken = await source.meta.snapshot(AbortSignal.timeout(1000));
 * assert.equal(deleteHorizon(taken, books).size, 0, "without a row there is nothing to delete");
 * ```
 */
export function deleteHorizon(snapshot: Snapshot, collection: Collection): Map<string, bigint> {
  const horizon = new Map<string, bigint>();
  for (const segment of liveSegments(snapshot, collection)) {
    const pchannel = collection.pchannels[collection.vchannels.indexOf(segment.vchannel)]!;
    const start = segment.startPosition?.offset ?? collection.startOffsets.get(pchannel) ?? 0n;
    const before = horizon.get(segment.vchannel);
    if (before === undefined || start < before) horizon.set(segment.vchannel, start);
  }
  return horizon;
}

/**
 * The first moment that base and tail together give exactly, over all channels: the largest of all cuts and of all
 * timestamps in live and dropped segments' logs. Before it, a compaction may have applied deletes that are later than a
 * cut, so a base at that earlier moment lacks rows.
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * import { FakeSource } from "../../tests/fakes/source.ts";
 * import type { Segment } from "../model/mod.ts";
 * import { firstExactTs } from "./cut.ts";
 *
 * const source = new FakeSource(["dml_0"]);
 * const books = source.create("books", "dml_0");
 * const taken = await source.meta.snapshot(AbortSignal.timeout(1000));
 * // What counts of a segment here.
 * const segment = {
 *   id: 7n,
 *   collectionId: books.id,
 *   partitionId: books.partitions[0]!.id,
 *   vchannel: books.vchannels[0]!,
 *   class: "rows",
 *   binlogs: [{ fieldId: 100n, childFields: [], files: [{ tsTo: books.createTs + 9n }] }],
 *   deltalogs: [],
 *   manifestPath: "",
 *   commitTimestamp: 0n,
 * } as unknown as Segment;
 * assert.equal(firstExactTs(taken), books.createTs);
 * assert.equal(firstExactTs({ ...taken, segments: [segment] }), books.createTs + 9n);
 * ```
 */
export function firstExactTs(
  snapshot: Snapshot,
  collections: readonly Collection[] = snapshot.catalog.collections,
): HybridTs {
  const ids = new Set(collections.map((collection) => collection.id));
  let last = 0n;
  for (const cut of makeCuts(snapshot, collections)) if (cut.ts > last) last = cut.ts;
  for (const segment of snapshot.segments) {
    if (!ids.has(segment.collectionId)) continue;
    const ts = latestTs(segment);
    if (ts > last) last = ts;
  }
  return last;
}
