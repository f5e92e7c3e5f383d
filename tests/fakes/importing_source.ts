/** A {@link FakeSource} whose imports are segments of its metadata, which a test has compacted, collected and forgotten. */
import assert from "node:assert/strict";
import {
  type BinlogSource,
  type Collection,
  type Column,
  hybridFromMs,
  type HybridTs,
  type ImportTask,
  msOfHybrid,
  type Segment,
  type Snapshot,
} from "../../pipeline/model/mod.ts";
import { FakePipeline } from "./pipeline.ts";
import { FakeRowSink } from "./row_sink.ts";
import { segmentOf } from "./segment.ts";
import { type FakeRow, FakeSource } from "./source.ts";

const PCHANNEL = "p_0";

export class ImportingSource {
  readonly source: FakeSource;
  readonly replica = new FakeRowSink("replica");
  readonly pipeline: FakePipeline;
  #collection: Collection | undefined;
  readonly #rows = new Map<bigint, readonly (readonly [ts: HybridTs, ...FakeRow])[]>();
  #segments: Segment[] = [];
  tasks: ImportTask[] = [];
  #ids = 500n;

  /** `make`: its collection is there from the beginning; else it is made when it is asked for. */
  constructor({ make = true }: { readonly make?: boolean } = {}) {
    this.source = new FakeSource([PCHANNEL]);
    this.pipeline = new FakePipeline(this.source, { rows: [this.replica] });
    if (make) this.#collection = this.source.create("a", PCHANNEL);
    this.pipeline.override = {
      meta: {
        ...this.source.meta,
        snapshot: async (signal) => ({ ...await this.source.meta.snapshot(signal), ...this.#metadata() }),
      },
      binlogs: { ...this.source.binlogs, rows: (segment) => this.#read(segment) },
    };
  }

  get collection(): Collection {
    return this.#collection ??= this.source.create("a", PCHANNEL);
  }

  /** Rows that no record of the log has. Returns the segment. */
  import(...rows: readonly FakeRow[]): bigint {
    assert.equal(this.collection.name, "a");
    this.source.tick();
    const ts = this.source.now;
    this.source.tick();
    for (const [key, value] of rows) this.source.rows.get("a")!.set(key, value);
    return this.#add(rows.map(([key, value]) => [ts, key, value] as const), { imported: true });
  }

  /** The source still knows the job of an import, which is completed. */
  remember(segment: bigint): void {
    this.tasks.push({
      id: segment + 1000n,
      collectionId: this.collection.id,
      state: "completed",
      segmentIds: [segment],
      rows: 1n,
    });
  }

  /** A flush of rows that are in the log, each at its time. */
  flushed(...rows: readonly (readonly [HybridTs, ...FakeRow])[]): bigint {
    return this.#add(rows, {});
  }

  compact(...ids: readonly bigint[]): bigint {
    const rows = ids.flatMap((id) => [...this.#rows.get(id)!]);
    this.#segments = this.#segments.map((segment) =>
      ids.includes(segment.id) ? { ...segment, state: "dropped", class: "none" } : segment
    );
    return this.#add(rows, { compactionFrom: ids, createdByCompaction: true });
  }

  collect(...ids: readonly bigint[]): void {
    this.#segments = this.#segments.filter(({ id }) => !ids.includes(id));
  }

  #add(rows: readonly (readonly [HybridTs, ...FakeRow])[], changes: Partial<Segment>): bigint {
    const id = this.#ids++;
    const times = rows.map(([ts]) => ts).sort((a, b) => a < b ? -1 : 1);
    const [tsFrom, tsTo] = [times[0]!, times.at(-1)!];
    const vchannel = this.collection.vchannels[0]!;
    this.#rows.set(id, rows);
    this.#segments.push(segmentOf({
      id,
      collectionId: this.collection.id,
      partitionId: this.collection.partitions[0]!.id,
      vchannel,
      rows: BigInt(rows.length),
      startPosition: { channel: vchannel, offset: undefined, ts: tsFrom },
      binlogs: [{
        fieldId: 100n,
        childFields: [],
        files: [{ path: `insert_log/${id}`, logId: 1n, entries: BigInt(rows.length), tsFrom, tsTo, size: 1n }],
      }],
      ...changes,
    }));
    return id;
  }

  #metadata(): Partial<Snapshot> {
    return { segments: this.#segments, imports: this.tasks };
  }

  async *#read(segment: Segment): ReturnType<BinlogSource["rows"]> {
    const rows = this.#rows.get(segment.id)!;
    const column = (i: 1 | 2): Column => ({
      fieldId: 99n + BigInt(i),
      name: i === 1 ? "id" : "value",
      type: 5,
      elementType: 0,
      dim: 0,
      isDynamic: false,
      rows: rows.length,
      valid: undefined,
      data: { kind: "int64", values: BigInt64Array.from(rows.map((row) => row[i])) },
    } as unknown as Column);
    yield {
      firstRow: 0,
      rows: rows.length,
      columns: [column(1), column(2)],
      timestamps: BigUint64Array.from(rows.map(([ts]) => ts)),
    };
  }

  /** The time of the newest record so far. */
  get last(): HybridTs {
    return hybridFromMs(msOfHybrid(this.source.now) - 1) + 1n;
  }

  async copied(): Promise<void> {
    await this.pipeline.once();
    assert.deepEqual(this.replica.rows, this.source.rows);
  }
}
