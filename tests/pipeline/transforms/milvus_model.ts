/**
 * A small model of a Milvus 2.3 source: what its log, its segments, its metadata and its delta files say at any moment,
 * with the habits that a copy must survive. Segments hold rows later than the checkpoint; compaction purges rows by deletes
 * that are later than the checkpoint and forgets the names of delta logs; delete files are written that no metadata ever
 * names; records are written out of the order of their timestamps; upserts write the insert before the delete.
 */
import fc from "fast-check";

export interface Row {
  readonly key: bigint;
  readonly value: bigint;
  readonly ts: bigint;
}

export interface Delete {
  readonly key: bigint;
  readonly ts: bigint;
  /** -1 = all. */
  readonly partition: bigint;
}

export type LogEntry =
  & { readonly offset: bigint; readonly ts: bigint; readonly vchannel: string; readonly collection: bigint }
  & (
    | { readonly kind: "insert"; readonly partition: bigint; readonly segment: bigint; readonly rows: readonly Row[] }
    | { readonly kind: "delete"; readonly partition: bigint; readonly keys: readonly bigint[] }
    | { readonly kind: "drop_partition"; readonly partition: bigint }
    | { readonly kind: "drop_collection" }
    | { readonly kind: "tick" }
  );

type Unwritten = LogEntry extends infer Entry ? Entry extends LogEntry ? Omit<Entry, "offset"> : never : never;

export interface ModelSegment {
  readonly id: bigint;
  readonly collection: bigint;
  readonly partition: bigint;
  readonly vchannel: string;
  readonly compactionFrom: readonly bigint[];
  state: "growing" | "flushed" | "dropped" | "importing";
  isImporting: boolean;
  buffer: Row[];
  deltaBuffer: Delete[];
  readonly files: Row[][];
  readonly named: Delete[][];
  /** From now on its delta logs are written and never named. */
  forgets: boolean;
  startOffset: bigint;
  startTs: bigint;
  dmlTs: bigint;
}

export interface ModelCollection {
  readonly id: bigint;
  readonly partitionKey: boolean;
  readonly vchannels: readonly string[];
  readonly pchannels: readonly string[];
  readonly partitions: Map<bigint, { live: boolean }>;
  readonly createTs: bigint;
  readonly startOffset: bigint;
  live: boolean;
}

export interface ModelImport {
  readonly id: bigint;
  readonly collection: bigint;
  readonly partition: bigint;
  readonly ts: bigint;
  readonly rows: readonly Row[];
  readonly segments: readonly bigint[];
  state: "persisted" | "completed";
}

const PCHANNELS = ["dml_0", "dml_1"] as const;
const FIRST_OFFSET = 1000n;

export class MilvusModel {
  readonly logs = new Map<string, LogEntry[]>(PCHANNELS.map((name) => [name, []]));
  readonly collections: ModelCollection[] = [];
  readonly segments: ModelSegment[] = [];
  /** Every delta file ever written, named or not. */
  readonly deltaFiles: { readonly segment: bigint; readonly deletes: readonly Delete[] }[] = [];
  readonly checkpoints = new Map<string, { offset: bigint; ts: bigint }>();
  readonly imports: ModelImport[] = [];
  readonly #late: { pchannel: string; entry: Unwritten }[] = [];
  readonly #consumed = new Map<string, bigint>();
  readonly #unconsumed = new Map<string, LogEntry[]>();
  #ts = 100n;
  #id = 1n;

  constructor(partitionKey: readonly boolean[]) {
    for (const own of partitionKey) {
      const id = this.#id++;
      const createTs = ++this.#ts;
      this.collections.push({
        id,
        partitionKey: own,
        vchannels: PCHANNELS.map((pchannel, shard) => `${pchannel}_${id}v${shard}`),
        pchannels: PCHANNELS,
        partitions: new Map([[this.#id++, { live: true }], [this.#id++, { live: true }]]),
        createTs,
        startOffset: FIRST_OFFSET,
        live: true,
      });
    }
  }

  get now(): bigint {
    return this.#ts;
  }

  apply(op: Op): void {
    const collection = this.collections[op.collection % this.collections.length]!;
    if (!collection.live) return;
    const partitions = [...collection.partitions].filter(([, state]) => state.live).map(([id]) => id);
    const partition = partitions[op.partition % Math.max(1, partitions.length)];
    switch (op.kind) {
      case "insert":
      case "upsert":
        if (partition !== undefined) this.#write(collection, partition, op.keys, op.kind === "upsert", op.late);
        return;
      case "delete":
        this.#delete(collection, op.everywhere || collection.partitionKey ? -1n : partition ?? -1n, op.keys, op.late);
        return;
      case "tick":
        this.tick(op.lagging);
        return;
      case "sync":
        this.#pick(collection, op.choice, (segment) => this.#sync(segment));
        return;
      case "flush":
        this.#pick(collection, op.choice, (segment) => this.#flush(segment));
        return;
      case "compact":
        if (partition !== undefined) this.#compact(collection, partition, op);
        return;
      case "checkpoint":
        collection.vchannels.forEach((vchannel, i) => op.choice % 4 !== i && this.#checkpoint(vchannel));
        return;
      case "import":
        if (partition !== undefined) this.#import(collection, partition, op.keys);
        return;
      case "import_step":
        this.#importStep(collection);
        return;
      case "drop_partition":
        if (partition !== undefined && partitions.length > 1 && !collection.partitionKey) {
          this.#dropPartition(collection, partition);
        }
        return;
      case "create_partition":
        collection.partitions.set(this.#id++, { live: true });
        return;
      case "drop_collection":
        if (this.collections.filter((item) => item.live).length > 1) this.#dropCollection(collection);
        return;
    }
  }

  /**
   * The garbage collection: dropped segments whose rows and deletes the checkpoint has passed go from the metadata, with all
   * their files. `which` chooses among them.
   */
  collect(which: (segment: ModelSegment) => boolean): void {
    const gone = new Set<bigint>();
    for (const segment of this.segments) {
      if (segment.state !== "dropped" || !which(segment)) continue;
      if (
        this.deltaFiles.some((file) => file.segment === segment.id && !segment.named.includes(file.deletes as Delete[]))
      ) {
        continue;
      }
      if (segment.dmlTs > (this.checkpoints.get(segment.vchannel)?.ts ?? 0n)) continue;
      gone.add(segment.id);
    }
    const keep = <T>(list: T[], stays: (item: T) => boolean) => list.splice(0, list.length, ...list.filter(stays));
    keep(this.segments, ({ id }) => !gone.has(id));
    keep(this.deltaFiles, ({ segment }) => !gone.has(segment));
  }

  /** A tick on every pchannel; all vchannels but the lagging ones take in what came before. */
  tick(lagging = 0): void {
    for (const { pchannel, entry } of this.#late.splice(0)) this.#append(pchannel, entry);
    const ts = ++this.#ts;
    for (const pchannel of PCHANNELS) this.#append(pchannel, { kind: "tick", ts, vchannel: "", collection: -1n });
    this.collections.flatMap((collection) => collection.vchannels).forEach((vchannel, i) => {
      if ((lagging >> i) % 2 === 0) this.#consume(vchannel, ts);
    });
  }

  #write(
    collection: ModelCollection,
    partition: bigint,
    keys: readonly number[],
    upsert: boolean,
    late: boolean,
  ): void {
    const ts = ++this.#ts;
    collection.vchannels.forEach((vchannel, shard) => {
      const own = keys.map(BigInt).filter((key) => Number(key) % collection.vchannels.length === shard);
      if (own.length === 0) return;
      const unique = upsert ? [...new Set(own)] : own;
      const rows = unique.map((key) => ({ key, value: this.#id++, ts }));
      const segment = this.#growing(collection, partition, vchannel);
      const common = { ts, vchannel, collection: collection.id, partition };
      this.#send(vchannel, { kind: "insert", segment: segment.id, rows, ...common }, late);
      if (upsert) {
        const scope = collection.partitionKey ? -1n : partition;
        this.#send(vchannel, { kind: "delete", keys: unique, ...common, partition: scope }, late);
      }
    });
  }

  #delete(collection: ModelCollection, partition: bigint, keys: readonly number[], late: boolean): void {
    const ts = ++this.#ts;
    collection.vchannels.forEach((vchannel, shard) => {
      const own = keys.map(BigInt).filter((key) => Number(key) % collection.vchannels.length === shard);
      if (own.length === 0) return;
      this.#send(vchannel, { kind: "delete", keys: own, ts, vchannel, collection: collection.id, partition }, late);
    });
  }

  /** A late record keeps its timestamp but stands behind younger ones; never behind the next tick. */
  #send(vchannel: string, entry: Unwritten, late: boolean): void {
    const pchannel = vchannel.replace(/_\d+v\d+$/, "");
    if (late) this.#late.push({ pchannel, entry });
    else this.#append(pchannel, entry);
  }

  #append(pchannel: string, entry: Unwritten): void {
    const log = this.logs.get(pchannel)!;
    const written = { ...entry, offset: FIRST_OFFSET + BigInt(log.length) } as LogEntry;
    log.push(written);
    if (written.vchannel === "") return;
    const waiting = this.#unconsumed.get(written.vchannel);
    if (waiting === undefined) this.#unconsumed.set(written.vchannel, [written]);
    else waiting.push(written);
  }

  #growing(collection: ModelCollection, partition: bigint, vchannel: string): ModelSegment {
    const open = this.segments.find((segment) =>
      segment.state === "growing" && segment.partition === partition && segment.vchannel === vchannel
    );
    return open ?? this.#newSegment(collection.id, partition, vchannel, "growing");
  }

  #newSegment(
    collection: bigint,
    partition: bigint,
    vchannel: string,
    state: ModelSegment["state"],
    compactionFrom: readonly bigint[] = [],
  ): ModelSegment {
    const segment: ModelSegment = {
      id: this.#id++,
      collection,
      partition,
      vchannel,
      compactionFrom,
      state,
      isImporting: state === "importing",
      buffer: [],
      deltaBuffer: [],
      files: [],
      named: [],
      forgets: false,
      startOffset: -1n,
      startTs: 0n,
      dmlTs: 0n,
    };
    this.segments.push(segment);
    return segment;
  }

  #consume(vchannel: string, tick: bigint): void {
    const waiting = (this.#unconsumed.get(vchannel) ?? []).sort(inOrder);
    this.#unconsumed.set(vchannel, []);
    // A segment's start position is that of the pack its first row came in: of the oldest record that was kept back at the
    // tick before. A delete of a larger ts may stand before the row that it deletes, but never before that.
    const before = this.#consumed.get(vchannel) ?? 0n;
    const log = this.logs.get(vchannel.replace(/_\d+v\d+$/, ""))!;
    const pack = log.find((entry) => entry.ts > before)?.offset ?? FIRST_OFFSET;
    this.#consumed.set(vchannel, tick);
    for (const entry of waiting) {
      if (entry.kind === "insert") {
        const segment = this.segments.find((item) => item.id === entry.segment);
        if (segment === undefined || segment.state === "dropped") continue;
        if (segment.startOffset < 0n || pack < segment.startOffset) segment.startOffset = pack;
        if (segment.startTs === 0n) segment.startTs = entry.ts - 1n;
        // A segment that was flushed meanwhile takes it nonetheless: its last sync comes later.
        segment.buffer.push(...entry.rows);
      } else if (entry.kind === "delete") {
        for (const segment of this.segments) this.#deleteIn(segment, entry);
      }
    }
  }

  #deleteIn(segment: ModelSegment, entry: Extract<LogEntry, { kind: "delete" }>): void {
    if (segment.vchannel !== entry.vchannel || segment.state === "dropped" || segment.isImporting) return;
    if (entry.partition !== -1n && entry.partition !== segment.partition) return;
    const keys = new Set([...segment.buffer, ...segment.files.flat()].map((row) => row.key));
    for (const key of entry.keys) {
      if (keys.has(key)) segment.deltaBuffer.push({ key, ts: entry.ts, partition: segment.partition });
    }
  }

  #pick(collection: ModelCollection, choice: number, act: (segment: ModelSegment) => void): void {
    const own = this.segments.filter((segment) =>
      segment.collection === collection.id && (segment.state === "growing" || segment.state === "flushed")
    );
    if (choice % 3 === 0) own.forEach(act);
    else if (own.length > 0) act(own[choice % own.length]!);
  }

  #sync(segment: ModelSegment): void {
    if (segment.buffer.length > 0) segment.files.push(segment.buffer.splice(0));
    if (segment.deltaBuffer.length > 0) this.#writeDeltas(segment, !segment.forgets);
    segment.dmlTs = this.#consumed.get(segment.vchannel) ?? 0n;
  }

  #writeDeltas(segment: ModelSegment, name: boolean): Delete[] {
    const deletes = segment.deltaBuffer.splice(0);
    this.deltaFiles.push({ segment: segment.id, deletes });
    if (name) segment.named.push(deletes);
    return deletes;
  }

  #flush(segment: ModelSegment): void {
    this.#sync(segment);
    // Records that are under way to it still come: the server seals first and waits for them.
    const underWay =
      (this.#unconsumed.get(segment.vchannel) ?? []).some((entry) =>
        entry.kind === "insert" && entry.segment === segment.id
      ) || this.#late.some(({ entry }) => entry.kind === "insert" && entry.segment === segment.id);
    if (!underWay && segment.state === "growing" && segment.files.length > 0) segment.state = "flushed";
  }

  #compact(collection: ModelCollection, partition: bigint, op: Extract<Op, { kind: "compact" }>): void {
    const vchannel = collection.vchannels[op.choice % collection.vchannels.length]!;
    const unfinished = new Set(
      this.imports.filter((task) => task.state !== "completed").flatMap((task) => task.segments),
    );
    const sources = this.segments.filter((segment) =>
      segment.state === "flushed" && !segment.isImporting && !unfinished.has(segment.id) &&
      segment.vchannel === vchannel &&
      segment.partition === partition && segment.collection === collection.id && segment.buffer.length === 0
    );
    if (sources.length === 0) return;
    // The plan is made now: it purges by what is named now.
    const known = sources.flatMap((segment) => segment.named.flat());
    const lateDeltas = op.lateDeltas
      ? sources.filter((segment) => segment.deltaBuffer.length > 0).map((segment) => this.#writeDeltas(segment, true))
      : [];
    const child = this.#newSegment(collection.id, partition, vchannel, "flushed", sources.map((segment) => segment.id));
    const rows = sources.flatMap((segment) => segment.files.flat()).filter((row) =>
      !known.some((mark) => mark.key === row.key && row.ts < mark.ts)
    ).sort((a, b) => a.ts < b.ts ? -1 : a.ts > b.ts ? 1 : 0);
    if (rows.length > 0) child.files.push(rows);
    else child.state = "dropped";
    // The files are copied to the child, whatever is then named of them.
    for (const deletes of lateDeltas) this.deltaFiles.push({ segment: child.id, deletes });
    if (op.forget && lateDeltas.length > 0) {
      child.named.push(lateDeltas[lateDeltas.length - 1]!);
      child.forgets = true;
    } else child.named.push(...lateDeltas);
    child.startOffset = sources.map((segment) => segment.startOffset).reduce((min, offset) =>
      offset < min ? offset : min
    );
    child.startTs = sources.map((segment) => segment.startTs).reduce((min, ts) => ts < min ? ts : min);
    child.dmlTs = sources.map((segment) => segment.dmlTs).reduce((max, ts) => ts > max ? ts : max);
    for (const segment of sources) {
      segment.state = "dropped";
      // Either the child takes over what is still to be written, or it is written for the dropped segment: lost.
      if (op.lose && segment.deltaBuffer.length > 0) this.#writeDeltas(segment, false);
      else child.deltaBuffer.push(...segment.deltaBuffer.splice(0));
    }
  }

  /** As far as everything is persisted: the last tick before the first unsynced row or delete. */
  #checkpoint(vchannel: string): void {
    const pchannel = vchannel.replace(/_\d+v\d+$/, "");
    const consumed = this.#consumed.get(vchannel) ?? 0n;
    let oldest = consumed + 1n;
    for (const segment of this.segments) {
      if (segment.vchannel !== vchannel || segment.state === "dropped") continue;
      for (const item of [...segment.buffer, ...segment.deltaBuffer]) if (item.ts < oldest) oldest = item.ts;
    }
    const log = this.logs.get(pchannel)!;
    const ticks = log.filter((entry) => entry.kind === "tick" && entry.ts < oldest);
    const tick = ticks[ticks.length - 1];
    if (tick === undefined) return;
    // A record that is later than the tick but stands before it was kept back with it.
    const first = log.find((entry) => entry.ts > tick.ts && entry.offset < tick.offset) ?? tick;
    this.checkpoints.set(vchannel, { offset: first.offset, ts: tick.ts });
  }

  #import(collection: ModelCollection, partition: bigint, keys: readonly number[]): void {
    const ts = ++this.#ts;
    const rows = [...new Set(keys)].map((key) => ({ key: BigInt(key), value: this.#id++, ts }));
    const segments = collection.vchannels.flatMap((vchannel, shard) => {
      const own = rows.filter((row) => Number(row.key) % collection.vchannels.length === shard);
      if (own.length === 0) return [];
      const segment = this.#newSegment(collection.id, partition, vchannel, "importing");
      segment.files.push(own);
      segment.startOffset = FIRST_OFFSET + BigInt(this.logs.get(collection.pchannels[shard]!)!.length);
      segment.startTs = ts;
      segment.dmlTs = ts;
      return [segment.id];
    });
    const id = this.#id++;
    this.imports.push({ id, collection: collection.id, partition, ts, rows, segments, state: "persisted" });
  }

  /** One segment after the other becomes visible, the task completes last. */
  #importStep(collection: ModelCollection): void {
    const task = this.imports.find((item) => item.collection === collection.id && item.state === "persisted");
    if (task === undefined) return;
    const hidden = this.segments.find((segment) => task.segments.includes(segment.id) && segment.isImporting);
    if (hidden === undefined) {
      task.state = "completed";
      return;
    }
    hidden.isImporting = false;
    if (hidden.state !== "dropped") hidden.state = "flushed";
  }

  #dropPartition(collection: ModelCollection, partition: bigint): void {
    collection.partitions.get(partition)!.live = false;
    this.#forget((segment) => segment.partition === partition);
    const ts = ++this.#ts;
    collection.vchannels.forEach((vchannel) =>
      this.#send(vchannel, { kind: "drop_partition", ts, vchannel, collection: collection.id, partition }, false)
    );
  }

  #dropCollection(collection: ModelCollection): void {
    collection.live = false;
    this.#forget((segment) => segment.collection === collection.id);
    const ts = ++this.#ts;
    collection.vchannels.forEach((vchannel) =>
      this.#send(vchannel, { kind: "drop_collection", ts, vchannel, collection: collection.id }, false)
    );
  }

  #forget(which: (segment: ModelSegment) => boolean): void {
    for (const segment of this.segments) if (which(segment)) segment.state = "dropped";
  }
}

/** How a server applies what a tick releases. */
export function inOrder(a: LogEntry, b: LogEntry): number {
  if (a.ts !== b.ts) return a.ts < b.ts ? -1 : 1;
  if (a.kind !== b.kind) return a.kind === "delete" ? -1 : b.kind === "delete" ? 1 : 0;
  return a.offset < b.offset ? -1 : 1;
}

interface OpBase {
  readonly collection: number;
  readonly partition: number;
}

export type Op =
  & OpBase
  & (
    | { readonly kind: "insert" | "upsert"; readonly keys: readonly number[]; readonly late: boolean }
    | {
      readonly kind: "delete";
      readonly keys: readonly number[];
      readonly everywhere: boolean;
      readonly late: boolean;
    }
    | { readonly kind: "tick"; readonly lagging: number }
    | { readonly kind: "sync" | "flush" | "checkpoint"; readonly choice: number }
    | {
      readonly kind: "compact";
      readonly choice: number;
      readonly lateDeltas: boolean;
      readonly forget: boolean;
      readonly lose: boolean;
    }
    | { readonly kind: "import"; readonly keys: readonly number[] }
    | { readonly kind: "import_step" | "drop_partition" | "create_partition" | "drop_collection" }
  );

const where = { collection: fc.nat(1), partition: fc.nat(2) };
const keys = fc.array(fc.nat(6), { minLength: 1, maxLength: 4 });
const choice = fc.nat(15);

export const arbitraryOp: fc.Arbitrary<Op> = fc.oneof(
  { weight: 8, arbitrary: fc.record({ ...where, kind: fc.constant("insert" as const), keys, late: fc.boolean() }) },
  { weight: 8, arbitrary: fc.record({ ...where, kind: fc.constant("upsert" as const), keys, late: fc.boolean() }) },
  {
    weight: 8,
    arbitrary: fc.record({
      ...where,
      kind: fc.constant("delete" as const),
      keys,
      everywhere: fc.boolean(),
      late: fc.boolean(),
    }),
  },
  {
    weight: 10,
    arbitrary: fc.record({
      ...where,
      kind: fc.constant("tick" as const),
      lagging: fc.oneof(fc.constant(0), fc.nat(15)),
    }),
  },
  { weight: 8, arbitrary: fc.record({ ...where, kind: fc.constant("sync" as const), choice }) },
  { weight: 8, arbitrary: fc.record({ ...where, kind: fc.constant("flush" as const), choice }) },
  { weight: 8, arbitrary: fc.record({ ...where, kind: fc.constant("checkpoint" as const), choice }) },
  {
    weight: 10,
    arbitrary: fc.record({
      ...where,
      kind: fc.constant("compact" as const),
      choice,
      lateDeltas: fc.constantFrom(true, true, false),
      forget: fc.boolean(),
      lose: fc.boolean(),
    }),
  },
  { weight: 1, arbitrary: fc.record({ ...where, kind: fc.constant("import" as const), keys }) },
  { weight: 9, arbitrary: fc.record({ ...where, kind: fc.constant("import_step" as const) }) },
  { weight: 1, arbitrary: fc.record({ ...where, kind: fc.constant("drop_partition" as const) }) },
  { weight: 1, arbitrary: fc.record({ ...where, kind: fc.constant("create_partition" as const) }) },
  { weight: 1, arbitrary: fc.record({ ...where, kind: fc.constant("drop_collection" as const) }) },
);
