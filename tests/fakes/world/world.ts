/**
 * A source in memory with databases, partitions, aliases, renames, imports and changes that reach their channels one after the
 * other, in records of either generation. Its rows are what all of its log and its imports leave, each at its time.
 */
import type { ImportTask } from "../../../pipeline/model/mod.ts";
import { shardOf } from "../../../pipeline/transforms/mod.ts";
import { ALL } from "./deeds.ts";
import type { Row } from "./files.ts";
import { WorldStructure } from "./structure.ts";
import { placeOf, type Thing } from "./thing.ts";

export class World extends WorldStructure {
  /** Its rows come with {@link complete}. */
  import(thing: Thing, partition: string, rows: readonly Row[]): void {
    this.say(`import ${thing.id} ${partition} ${rows.join(" ")}`);
    if (thing.busy) return;
    const { id, collection: { pchannels, vchannels, partitions } } = thing;
    const place = partitions.find(({ name }) => name === partition) ?? partitions[0]!;
    this.step();
    const ts = this.next();
    const segments = [...Map.groupBy(rows, ([key]) => shardOf(key, pchannels.length))].map(([shard, own]) =>
      this.files.add(
        ++this.ids,
        thing.collection,
        vchannels[shard]!,
        place.id,
        own.map((row) => [ts, ...row] as const),
        {
          state: "importing",
          class: "none",
          isImporting: true,
          imported: true,
        },
      )
    );
    const task: ImportTask = {
      id: ++this.ids,
      collectionId: id,
      state: "pending",
      segmentIds: segments,
      rows: BigInt(rows.length),
    };
    if (this.generation === 2) {
      const broadcast = { id: ++this.ids, vchannels };
      const at = { ...placeOf(thing.collection), partition: place.id, partitionName: place.name };
      this.tell(thing, { ...at, kind: "import", broadcast, job: task.id });
    }
    thing.imports.push({ task, ts, segments, rows, partition: place.id, commitTs: 0n });
    this.step();
    this.note({ importsUnderWay: [task] });
  }

  /** `newest`: of several the last that was asked for. */
  complete(thing: Thing, commit: boolean, newest = false): void {
    this.say(`complete ${thing.id} ${commit}`);
    const under = thing.imports.filter(({ task }) => task.state === "pending");
    const own = newest ? under.at(-1) : under[0];
    if (own === undefined || thing.busy) return;
    this.step();
    own.commitTs = commit ? this.next() : 0n;
    if (commit && this.generation === 2) {
      const broadcast = { id: ++this.ids, vchannels: thing.collection.vchannels };
      this.tell(
        thing,
        { ...placeOf(thing.collection), kind: "commit_import", broadcast, job: own.task.id },
        own.commitTs,
      );
    }
    this.step();
    own.task = { ...own.task, state: "completed" };
    const ts = commit ? own.commitTs : own.ts;
    const { length } = thing.collection.pchannels;
    const { partition } = own;
    for (const [key, value] of own.rows) {
      thing.deeds.push({ ts, partition, shard: shardOf(key, length), key, value, imported: true });
    }
    this.files.segments = this.files.segments.map((segment) =>
      own.segments.includes(segment.id)
        ? { ...segment, state: "flushed", class: "rows", isImporting: false, commitTimestamp: own.commitTs }
        : segment
    );
    this.note({ importsCompleted: [own.task] });
  }

  /** The source forgets a completed import. */
  forget(thing: Thing): void {
    thing.imports = thing.imports.filter(({ task }) => task.state !== "completed");
  }

  /** All rows of the log so far are in files, and the checkpoints say so. */
  flush(): void {
    for (const thing of this.live) {
      // A copy that begins between two channels of a change that destroys rows holds the collection, which is known and open.
      if (this.generation === 2 && thing.busy) continue;
      const { deeds, collection: { vchannels, pchannels } } = thing;
      if (pchannels.some((pchannel) => this.silent.has(pchannel))) continue;
      vchannels.forEach((vchannel, shard) => {
        const before = this.checkpoints.get(vchannel);
        const [from, kept] = [before?.ts ?? 0n, this.inMemory.get(vchannel)];
        const destroyed = deeds.filter(({ key, shard: its }) => key === undefined && its === shard);
        const rows = deeds.filter((deed) =>
          deed.shard === shard && deed.value !== undefined && (deed.ts > from || deed.ts === kept) &&
          deed.imported !== true &&
          // A truncation takes what is in memory, too.
          !destroyed.some(({ ts, partition }) => ts > deed.ts && (partition === ALL || partition === deed.partition))
        );
        const newest = rows.at(-1)?.ts;
        // A node that has started again writes the time of the oldest row that it still has in memory, and a place before it.
        const keeps = this.generation === 2 && newest !== undefined && thing.imports.length === 0 &&
          this.keeps?.(4) === true;
        const filed = keeps ? rows.filter(({ ts }) => ts < newest) : rows;
        for (const [partition, own] of Map.groupBy(filed, (deed) => deed.partition)) {
          if (!thing.collection.partitions.some((one) => one.id === partition)) continue;
          const all = own.map(({ ts, key, value }) => [ts, key!, value!] as const);
          this.files.add(++this.ids, thing.collection, vchannel, partition, all, {});
        }
        const offset = this.#flushed(thing, shard);
        const start = thing.collection.startOffsets.get(pchannels[shard]!)!;
        const place = keeps ? { offset: before?.offset ?? start, ts: newest } : { offset, ts: this.now };
        this.checkpoints.set(vchannel, { channel: vchannel, ...place, streamed: this.generation === 2 });
        if (keeps) this.inMemory.set(vchannel, newest);
        else this.inMemory.delete(vchannel);
      });
    }
    this.tick();
  }

  /** Of generation 2, a message says so. Returns from where on the log has what is in no file. */
  #flushed(thing: Thing, shard: number): bigint {
    const [pchannel, vchannel] = [thing.collection.pchannels[shard]!, thing.collection.vchannels[shard]!];
    if (this.generation === 1) return this.written.latest(pchannel);
    const own = [...this.growing].filter(([growing]) => growing.startsWith(`${vchannel} `));
    for (const [growing] of own) this.growing.delete(growing);
    const asked = { ...placeOf(thing.collection), kind: "manual_flush" as const, segments: own.map(([, id]) => id) };
    this.nodes.write(pchannel, { ...asked, vchannel, clock: this.now, tt: this.next() });
    return this.nodes.safe(pchannel);
  }
}
