/** A collection that is written to, deleted from, flushed and compacted all the time, and the keys that are alive in it. */
import type { PyMilvus } from "../../stack/pymilvus.ts";
import { type CompactionWatch, type FlushedSegment, replaceSegments } from "./compactions.ts";
import { seeded } from "./random_workload.ts";

const name = "eager";

export class EagerSource {
  readonly name = name;
  readonly #source: PyMilvus;
  readonly #random: () => number;
  readonly #alive = new Map<string, Set<number>>([["_default", new Set()], ["p1", new Set()]]);
  #next = 0;
  #round = 0;

  private constructor(source: PyMilvus, seed: number) {
    this.#source = source;
    this.#random = seeded(seed);
  }

  static async create(source: PyMilvus, seed: number): Promise<EagerSource> {
    await source.call("create_collection", {
      name,
      shards: 2,
      partitions: ["p1"],
      fields: [
        { name: "id", type: "Int64", primary: true },
        { name: "vec", type: "FloatVector", dim: 16 },
      ],
      indexes: [{ field: "vec", params: { index_type: "FLAT", metric_type: "L2" } }],
      load: true,
    });
    return new EagerSource(source, seed);
  }

  /** One round of work: upserts, deletes, now and then a flush or a compaction. */
  async step(): Promise<void> {
    await this.#write();
    if (this.#random() < 0.3) await this.#source.call("flush", { name });
    if (this.#random() < 0.15) await this.#source.call("compact", { name, wait: false });
  }

  /** Goes on until segments that were there since `revision` are replaced by others, and returns these. */
  async replaceSegments(watch: CompactionWatch, revision: bigint): Promise<FlushedSegment[]> {
    return await replaceSegments(watch, revision, async () => {
      await this.#write();
      await this.#source.call("flush", { name });
      await this.#source.call("compact", { name });
    });
  }

  /** `<partition>/<key>` of all rows, sorted. */
  keys(): string[] {
    return [...this.#alive].flatMap(([partition, keys]) => [...keys].map((key) => `${partition}/${key}`)).sort();
  }

  async #write(): Promise<void> {
    const random = this.#random;
    const partition = random() < 0.5 ? "_default" : "p1";
    const start = random() < 0.6 ? (this.#next += 300) - 300 : Math.floor(random() * this.#next);
    const count = 50 + Math.floor(random() * 200);
    await this.#source.call("insert_generated", { name, start, count, seed: ++this.#round, partition, upsert: true });
    const keys = this.#alive.get(partition)!;
    for (let key = start; key < start + count; key++) keys.add(key);
    const from = Math.floor(random() * this.#next);
    const everywhere = random() < 0.3;
    await this.#source.call("delete", { name, start: from, count: 80, partition: everywhere ? "" : partition });
    for (const [other, set] of this.#alive) {
      if (everywhere || other === partition) { for (let key = from; key < from + 80; key++) set.delete(key); }
    }
  }
}

/** `<partition>/<key>` of a row that a query returned. */
export function keyOf(row: Record<string, unknown>): string {
  return `${row["$partition"]}/${row.id}`;
}
