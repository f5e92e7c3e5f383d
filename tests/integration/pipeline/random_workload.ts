/** A seeded random writer: rows, deletes, re-inserts, flushes, collections, partitions, aliases, renames. */
import type { PyMilvus } from "../../stack/pymilvus.ts";

/** mulberry32: the same seed gives the same workload. */
export function seeded(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6D2B79F5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}

interface Table {
  name: string;
  readonly text: boolean;
  /** Partition -> numbers of the keys that are alive there. */
  readonly partitions: Map<string, Set<number>>;
  readonly aliases: Set<string>;
  /** Numbers that were deleted once, to be inserted again. */
  readonly deleted: Set<number>;
}

const INDEXES = [{ field: "vec", params: { index_type: "FLAT", metric_type: "L2" } }];

export class RandomWorkload {
  readonly #source: PyMilvus;
  readonly #prefix: string;
  readonly #random: () => number;
  readonly #tables: Table[] = [];
  #made = 0;
  #next = 0;
  readonly done: Record<string, number> = {};

  constructor(source: PyMilvus, prefix: string, seed: number) {
    this.#source = source;
    this.#prefix = prefix;
    this.#random = seeded(seed);
  }

  /** Names of the collections that are alive. */
  get names(): string[] {
    return this.#tables.map((table) => table.name);
  }

  async begin(tables: number): Promise<void> {
    for (let i = 0; i < tables; i++) await this.#createTable();
  }

  /** One random operation. */
  async step(): Promise<void> {
    const roll = this.#random();
    const kind = roll < 0.34
      ? "insert"
      : roll < 0.50
      ? "upsert"
      : roll < 0.68
      ? "delete"
      : roll < 0.76
      ? "reinsert"
      : roll < 0.83
      ? "flush"
      : roll < 0.87
      ? "createPartition"
      : roll < 0.90
      ? "dropPartition"
      : roll < 0.93
      ? "alias"
      : roll < 0.95
      ? "rename"
      : roll < 0.975
      ? "recreate"
      : "create";
    this.done[kind] = (this.done[kind] ?? 0) + 1;
    const table = this.#pick(this.#tables);
    switch (kind) {
      case "insert":
        return await this.#write(table, this.#fresh(this.#int(1, 120)), false);
      case "upsert":
        return await this.#write(table, this.#some(table, this.#int(1, 60)), true);
      case "delete":
        return await this.#delete(table);
      case "reinsert": {
        const numbers = [...table.deleted].slice(0, this.#int(1, 40));
        return await this.#write(table, numbers, true);
      }
      case "flush":
        await this.#source.call("flush", { name: table.name });
        return;
      case "createPartition": {
        if (table.partitions.size >= 5) return;
        const partition = `part_${this.#made++}`;
        await this.#source.call("create_partition", { name: table.name, partition });
        await this.#source.call("load_partitions", { name: table.name, partitions: [partition] });
        table.partitions.set(partition, new Set());
        return;
      }
      case "dropPartition": {
        const droppable = [...table.partitions.keys()].filter((partition) => partition !== "_default");
        if (droppable.length === 0) return;
        const partition = this.#pick(droppable);
        await this.#source.call("drop_partition", { name: table.name, partition });
        table.partitions.delete(partition);
        return;
      }
      case "alias": {
        if (table.aliases.size > 0) {
          const alias = [...table.aliases][0]!;
          await this.#source.call("drop_alias", { alias });
          table.aliases.delete(alias);
          return;
        }
        const alias = `${this.#prefix}alias_${this.#made++}`;
        await this.#source.call("create_alias", { name: table.name, alias });
        table.aliases.add(alias);
        return;
      }
      case "rename": {
        if (table.aliases.size > 0) return;
        const name = `${this.#prefix}r${this.#made++}`;
        await this.#source.call("rename_collection", { name: table.name, new_name: name });
        table.name = name;
        return;
      }
      case "recreate": {
        if (this.#tables.length < 2) return;
        await this.#source.call("drop_collection", { name: table.name });
        this.#tables.splice(this.#tables.indexOf(table), 1);
        await this.#createTable(table.name);
        return;
      }
      case "create":
        if (this.#tables.length < 6) await this.#createTable();
        return;
    }
  }

  async #createTable(name = `${this.#prefix}t${this.#made++}`): Promise<void> {
    const text = this.#random() < 0.4;
    await this.#source.call("create_collection", {
      name,
      shards: this.#int(1, 2),
      dynamic: true,
      fields: [
        text
          ? { name: "id", type: "VarChar", max_length: 64, primary: true }
          : { name: "id", type: "Int64", primary: true },
        { name: "vec", type: "FloatVector", dim: 4 },
        { name: "doc", type: "JSON" },
      ],
      indexes: INDEXES,
      load: true,
    });
    this.#tables.push({
      name,
      text,
      partitions: new Map([["_default", new Set()]]),
      aliases: new Set(),
      deleted: new Set(),
    });
  }

  async #write(table: Table, numbers: number[], upsert: boolean): Promise<void> {
    if (numbers.length === 0) return;
    const partition = this.#pick([...table.partitions.keys()]);
    // Runs of following numbers go in one request.
    numbers.sort((a, b) => a - b);
    for (let i = 0; i < numbers.length;) {
      let end = i + 1;
      while (end < numbers.length && numbers[end] === numbers[end - 1]! + 1) end++;
      await this.#source.call("insert_generated", {
        name: table.name,
        start: numbers[i],
        count: end - i,
        seed: this.#int(1, 1_000_000),
        partition,
        upsert,
      });
      i = end;
    }
    const alive = table.partitions.get(partition)!;
    for (const number of numbers) {
      alive.add(number);
      table.deleted.delete(number);
    }
  }

  async #delete(table: Table): Promise<void> {
    const partition = this.#pick([...table.partitions.keys()]);
    const everywhere = this.#random() < 0.5;
    const start = this.#int(0, Math.max(1, this.#next));
    const count = this.#int(1, 60);
    await this.#source.call("delete", { name: table.name, start, count, partition: everywhere ? "" : partition });
    for (const [name, alive] of table.partitions) {
      if (!everywhere && name !== partition) continue;
      for (let number = start; number < start + count; number++) if (alive.delete(number)) table.deleted.add(number);
    }
  }

  #fresh(count: number): number[] {
    const start = this.#next;
    this.#next += count;
    return Array.from({ length: count }, (_, i) => start + i);
  }

  /**
   * Keys that may or may not be there. None that an insert is still to bring: of a key that is inserted again without a delete a
   * server may answer either row.
   */
  #some(_table: Table, count: number): number[] {
    const start = this.#int(0, Math.max(1, this.#next - count));
    return Array.from({ length: count }, (_, i) => start + i).filter((number) => number < this.#next);
  }

  #int(low: number, high: number): number {
    return low + Math.floor(this.#random() * (high - low + 1));
  }

  #pick<T>(items: readonly T[]): T {
    return items[Math.floor(this.#random() * items.length)]!;
  }
}
