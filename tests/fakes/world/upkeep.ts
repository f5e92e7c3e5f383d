/** What a cluster does with the files of a world beside its log: L0 segments of deletes, and compactions of both kinds. */
import type { HybridTs, Segment } from "../../../pipeline/model/mod.ts";
import { ALL } from "./deeds.ts";
import type { Thing } from "./thing.ts";
import type { World } from "./world.ts";

export type TimedKey = readonly [HybridTs, key: bigint];

export interface DeleteSegment {
  readonly id: bigint;
  readonly collection: bigint;
  /** {@link ALL}: of every one. */
  readonly partition: bigint;
  readonly vchannel: string;
  readonly deletes: readonly TimedKey[];
  /** Its deletes are with the segments that they concern. */
  readonly dropped: boolean;
}

export class Upkeep {
  readonly deletes = new Map<bigint, DeleteSegment>();
  /** Segment of rows -> the deletes that lie with it. */
  readonly deltas = new Map<bigint, readonly TimedKey[]>();
  readonly #world: World;
  /** vchannel -> up to where its deletes are in files. */
  readonly #until = new Map<string, HybridTs>();
  // Far from those that the world gives.
  #ids = 1_000_000n;

  constructor(world: World) {
    this.#world = world;
  }

  /** Rows of the log so far are in segments, and deletes in segments of L0. */
  flush(): void {
    this.#world.flush();
    for (const { id, deeds, collection: { vchannels } } of this.#world.live) {
      vchannels.forEach((vchannel, shard) => {
        const [from, to] = [this.#until.get(vchannel) ?? 0n, this.#world.checkpoints.get(vchannel)?.ts ?? 0n];
        const own = deeds.filter((deed) =>
          deed.shard === shard && deed.key !== undefined && deed.value === undefined && deed.ts > from && deed.ts <= to
        );
        this.#until.set(vchannel, to);
        for (const [partition, some] of Map.groupBy(own, (deed) => deed.partition)) {
          const deletes = some.map(({ ts, key }) => [ts, key!] as const);
          const segment = { id: ++this.#ids, collection: id, partition, vchannel, deletes, dropped: false };
          this.deletes.set(segment.id, segment);
        }
      });
    }
  }

  /** Deletes of L0 are put beside the segments of rows. */
  compactDeletes(thing: Thing): void {
    if (thing.busy) return;
    for (const segment of this.#liveDeletes(thing.id)) {
      for (const { id } of this.#rowsFor(segment)) {
        this.deltas.set(id, [...this.deltas.get(id) ?? [], ...segment.deletes]);
      }
      this.deletes.set(segment.id, { ...segment, dropped: true });
    }
  }

  /** The segments of each vchannel and partition become one, without the rows that deletes in files concern. */
  compact(thing: Thing): void {
    if (thing.busy) return;
    const { files } = this.#world;
    const live = files.segments.filter(({ collectionId, state, imported }) =>
      collectionId === thing.id && state === "flushed" && imported !== true
    );
    for (const [, sources] of Map.groupBy(live, ({ vchannel, partitionId }) => `${vchannel} ${partitionId}`)) {
      const [{ vchannel, partitionId }] = sources as [Segment];
      const deletes = [
        ...this.#liveDeletes(thing.id).filter((one) =>
          one.vchannel === vchannel && (one.partition === ALL || one.partition === partitionId)
        ).flatMap((one) => one.deletes),
        ...sources.flatMap(({ id }) => this.deltas.get(id) ?? []),
      ];
      const rows = sources.flatMap((segment) => files.rowsOf(segment))
        .filter(([ts, key]) => !deletes.some(([at, gone]) => gone === key && at > ts));
      const ids = sources.map(({ id }) => id);
      files.segments = files.segments.map((segment) =>
        ids.includes(segment.id) ? { ...segment, state: "dropped", class: "none", compacted: true } : segment
      );
      if (rows.length === 0) continue;
      const changes = { createdByCompaction: true, compactionFrom: ids };
      files.add(++this.#ids, thing.collection, vchannel, partitionId, rows, changes);
    }
  }

  #liveDeletes(collection: bigint): DeleteSegment[] {
    return [...this.deletes.values()].filter((one) => one.collection === collection && !one.dropped);
  }

  #rowsFor({ collection, vchannel, partition }: DeleteSegment): Segment[] {
    return this.#world.files.segments.filter((segment) =>
      segment.collectionId === collection && segment.vchannel === vchannel && segment.state === "flushed" &&
      (partition === ALL || partition === segment.partitionId)
    );
  }
}
