/**
 * A copy of the model source by the pipeline's own transforms: base from a snapshot, tail from the log, folded in batches.
 * Every rule can be replaced by a wrong one, to show that the model notices.
 */
import { create } from "@bufbuild/protobuf";
import { decodeFieldData, encodeColumn } from "../../../pipeline/columns/mod.ts";
import type {
  Collection,
  Column,
  DeleteEvent,
  DeleteMark,
  InsertEvent,
  Keys,
  LogFile,
  Segment,
  Snapshot,
} from "../../../pipeline/model/mod.ts";
import { statesOf } from "../../../pipeline/flow/archive/known.ts";
import { ConsistencyLevel } from "../../../pipeline/proto/gen/common_pb.ts";
import { CollectionSchemaSchema, DataType } from "../../../pipeline/proto/gen/schema_pb.ts";
import {
  DeadRows,
  deleteHorizon,
  firstExactTs,
  type FoldedBatch,
  foldEvents,
  importGate,
  keyConflict,
  liveSegments,
  makeCuts,
} from "../../../pipeline/transforms/mod.ts";
import {
  type Delete,
  inOrder,
  type LogEntry,
  type MilvusModel,
  type ModelCollection,
  type ModelSegment,
  type Row,
} from "./milvus_model.ts";

export interface Rules {
  /** Where the base's deletes come from. `known`: of a base made before, and the log from its cut on. */
  readonly deletes: "log" | "files" | "both" | "named" | "known";
  /** What the base before holds: all that it knows, or the delta logs only that metadata named. */
  readonly knownDeletes: "all" | "named";
  /** A base before, at which an import was under way, knows nothing. */
  readonly knownImports: boolean;
  /** From where the log is read for them. */
  readonly horizon: "oldest_row" | "cut";
  /** A delete spares rows of its own ts. */
  readonly strict: boolean;
  /** Deletes hold in their partition only. */
  readonly scoped: boolean;
  /** Rows later than the cut are left out of the base. */
  readonly rowCut: boolean;
  /** Deletes later than the cut are left out of the base. */
  readonly deleteCut: boolean;
  readonly segments: "live" | "with_dropped";
  readonly gate: boolean;
  /** The tail begins at the position itself. */
  readonly inclusive: boolean;
  readonly order: "ts" | "offset" | "insert_first";
  /** The server's own rule: leave out inserts that their segment has already. */
  readonly serverDedup: boolean;
}

/** What the pipeline does. */
export const RIGHT: Rules = {
  deletes: "both",
  knownDeletes: "all",
  knownImports: true,
  horizon: "oldest_row",
  strict: true,
  scoped: true,
  rowCut: true,
  deleteCut: true,
  segments: "live",
  gate: true,
  inclusive: true,
  order: "ts",
  serverDedup: false,
};

/** The source at one moment, as a reader of its metadata and files finds it. */
export interface Taken {
  readonly snapshot: Snapshot;
  readonly rows: ReadonlyMap<bigint, readonly Row[]>;
  readonly named: ReadonlyMap<bigint, readonly Delete[]>;
  readonly deltaFiles: readonly { readonly segment: bigint; readonly deletes: readonly Delete[] }[];
  readonly allSegments: readonly Segment[];
}

/** `partition/key` (`*` for collections with a partition key) -> value. */
export type Content = Map<string, bigint>;

export function take(model: MilvusModel): Taken {
  const segments = model.segments.map((segment) => segmentOf(segment));
  const live = model.collections.filter((collection) => collection.live);
  return {
    allSegments: segments,
    rows: new Map(model.segments.map((segment) => [segment.id, segment.files.flat()])),
    named: new Map(model.segments.map((segment) => [segment.id, segment.named.flat()])),
    deltaFiles: [...model.deltaFiles],
    snapshot: {
      revision: 1n,
      clusterId: "1",
      catalog: {
        databases: [],
        collections: live.map(collectionOf),
        rbac: { users: [], roles: [], grants: [], privilegeGroups: [] },
        notLive: [],
      },
      segments: segments.filter((segment) => live.some((collection) => collection.id === segment.collectionId)),
      checkpoints: new Map(
        [...model.checkpoints].map(([channel, { offset, ts }]) => [channel, { channel, offset, ts }]),
      ),
      droppedChannels: [],
      imports: model.imports.map((task) => ({
        id: task.id,
        collectionId: task.collection,
        state: task.state,
        segmentIds: task.segments,
        rows: BigInt(task.rows.length),
      })),
      serverVersion: "2.3.5",
      takenAtMs: 0,
    },
  };
}

export function isBlocked(taken: Taken, rules: Rules): boolean {
  return rules.gate && importGate(taken.snapshot, taken.snapshot.catalog.collections).length > 0;
}

export function exactFrom(taken: Taken): bigint {
  return firstExactTs(taken.snapshot);
}

/** Content per live collection of the snapshot at moment `end`. `sizes`: batch sizes of the tail, in turn; `parts`: of the dead-row search. */
export function copy(
  model: MilvusModel,
  taken: Taken,
  rules: Rules,
  sizes: readonly number[],
  parts: number,
  end: bigint,
  before?: Taken,
): Map<bigint, Content> {
  const out = new Map<bigint, Content>();
  for (const collection of taken.snapshot.catalog.collections) {
    const own = model.collections.find((item) => item.id === collection.id)!;
    const content: Content = new Map();
    for (const cut of makeCuts(taken.snapshot, [collection])) {
      base(model, taken, own, collection, cut, rules, parts, content, before);
      tail(model, taken, own, cut, rules, sizes, end, content);
    }
    out.set(collection.id, content);
  }
  return out;
}

type CutLike = ReturnType<typeof makeCuts>[number];

function base(
  model: MilvusModel,
  taken: Taken,
  own: ModelCollection,
  collection: Collection,
  cut: CutLike,
  rules: Rules,
  parts: number,
  content: Content,
  before: Taken | undefined,
): void {
  const partitions = own.partitionKey || !rules.scoped ? "any" : "scoped";
  const segments =
    (rules.segments === "live"
      ? liveSegments(taken.snapshot, collection)
      : taken.snapshot.segments.filter((segment) => segment.collectionId === own.id)).filter((segment) =>
        segment.vchannel === cut.vchannel
      );
  const horizon = rules.horizon === "cut" ? cut.offset : deleteHorizon(taken.snapshot, collection).get(cut.vchannel);
  const marks = deletesFor(model, taken, own, cut, segments, horizon, rules, before);
  const dead = new Map<bigint, Set<number>>(segments.map((segment) => [segment.id, new Set()]));
  for (let part = 0; part < parts; part++) {
    const finder = new DeadRows({
      cutTs: rules.rowCut ? cut.ts : 2n ** 64n - 1n,
      deletesUpTo: rules.deleteCut ? cut.ts : 2n ** 64n - 1n,
      partitions,
      part,
      parts,
    });
    for (const mark of marks) finder.addDeletes(mark);
    for (const segment of segments) {
      const rows = taken.rows.get(segment.id)!;
      // In two batches, as a reader of large files gives them.
      const middle = rows.length >> 1;
      for (const [from, to] of [[0, middle], [middle, rows.length]] as const) {
        const some = rows.slice(from, to);
        const stamps = BigUint64Array.from(some.map((row) => row.ts));
        finder.addRows(segment.id, segment.partitionId, from, keysOf(own, some.map((row) => row.key)), stamps);
      }
    }
    for (const [id, found] of finder.finish()) for (const row of found.dead) dead.get(id)!.add(row);
  }
  for (const segment of segments) {
    taken.rows.get(segment.id)!.forEach((row, index) => {
      if (dead.get(segment.id)!.has(index)) return;
      const name = nameOf(own, segment.partitionId, row.key);
      if (rules.scoped && content.has(name)) throw new Error(`the base brings ${name} twice`);
      content.set(name, row.value);
    });
  }
}

function deletesFor(
  model: MilvusModel,
  taken: Taken,
  own: ModelCollection,
  cut: CutLike,
  segments: readonly Segment[],
  horizon: bigint | undefined,
  rules: Rules,
  before: Taken | undefined,
): DeleteMark[] {
  const deletes: Delete[] = [];
  const known = rules.deletes === "known" ? knownBefore(model, own, cut, before, rules) : undefined;
  if (known !== undefined) {
    deletes.push(...known.deletes);
    // What is still named goes along with its own segment only.
    for (const segment of segments) deletes.push(...ofRows(taken.named.get(segment.id)!, taken, segment));
  }
  if (rules.deletes !== "files" && rules.deletes !== "named" && horizon !== undefined) {
    const from = known !== undefined && known.offset > horizon ? known.offset : horizon;
    deletes.push(...logDeletes(model, cut, from));
  }
  const channelOf = new Map(taken.allSegments.map((segment) => [segment.id, segment.vchannel]));
  if (rules.deletes === "files" || rules.deletes === "both") {
    for (const file of taken.deltaFiles) {
      if (channelOf.get(file.segment) === cut.vchannel) deletes.push(...file.deletes);
    }
  }
  if (rules.deletes === "named") { for (const segment of segments) deletes.push(...taken.named.get(segment.id)!); }
  return deletes.map(({ key, ts, partition }) => ({
    partitionId: rules.scoped ? partition : -1n,
    keys: keysOf(own, [key]),
    timestamps: [rules.strict ? ts : ts + 1n],
  }));
}

function logDeletes(model: MilvusModel, cut: CutLike, from: bigint): Delete[] {
  const deletes: Delete[] = [];
  for (const entry of model.logs.get(cut.pchannel)!) {
    if (entry.kind !== "delete" || entry.vchannel !== cut.vchannel || entry.offset < from || entry.ts > cut.ts) {
      continue;
    }
    deletes.push(...entry.keys.map((key) => ({ key, ts: entry.ts, partition: entry.partition })));
  }
  return deletes;
}

/** Those of keys that the segment has. */
function ofRows(deletes: readonly Delete[], taken: Taken, { id }: Segment): Delete[] {
  const keys = new Set(taken.rows.get(id)!.map(({ key }) => key));
  return deletes.filter(({ key }) => keys.has(key));
}

/** What the delta logs of a base made at `before` hold, and from where on the log says the rest. */
function knownBefore(
  model: MilvusModel,
  own: ModelCollection,
  { vchannel }: CutLike,
  before: Taken | undefined,
  rules: Rules,
): { readonly deletes: readonly Delete[]; readonly offset: bigint } | undefined {
  const collection = before?.snapshot.catalog.collections.find(({ id }) => id === own.id);
  if (before === undefined || collection === undefined) return undefined;
  const cut = makeCuts(before.snapshot, [collection]).find((item) => item.vchannel === vchannel)!;
  const topics = new Map([[vchannel, "topic"]]);
  if (rules.knownImports && statesOf(before.snapshot, collection, [cut], topics).length === 0) return undefined;
  const horizon = deleteHorizon(before.snapshot, collection).get(vchannel);
  const log = horizon === undefined || rules.knownDeletes === "named" ? [] : logDeletes(model, cut, horizon);
  const deletes = liveSegments(before.snapshot, collection).filter((segment) => segment.vchannel === vchannel)
    .flatMap((segment) => [...before.named.get(segment.id)!, ...ofRows(log, before, segment)]);
  return { deletes, offset: cut.offset };
}

function tail(
  model: MilvusModel,
  taken: Taken,
  own: ModelCollection,
  cut: CutLike,
  rules: Rules,
  sizes: readonly number[],
  end: bigint,
  content: Content,
): void {
  const dml = new Map(taken.allSegments.map((segment) => [segment.id, segment.dmlPosition?.ts ?? 0n]));
  const from = rules.inclusive ? cut.offset : cut.offset + 1n;
  const entries: LogEntry[] = [];
  let waiting: LogEntry[] = [];
  for (const entry of model.logs.get(cut.pchannel)!) {
    if (entry.offset < from) continue;
    if (entry.kind === "tick") {
      if (entry.ts > end) break;
      entries.push(...sorted(waiting, rules));
      waiting = [];
    } else if (entry.vchannel === cut.vchannel && entry.ts > cut.ts) {
      if (rules.serverDedup && entry.kind === "insert" && entry.ts <= (dml.get(entry.segment) ?? 0n)) continue;
      waiting.push(entry);
    }
  }
  const batches = new Applier(own, content, sizes);
  for (const entry of entries) batches.add(entry);
  batches.finish();
}

function sorted(entries: readonly LogEntry[], rules: Rules): LogEntry[] {
  switch (rules.order) {
    case "ts":
      return [...entries].sort(inOrder);
    case "offset":
      return [...entries];
    case "insert_first":
      return [...entries].sort((a, b) => a.ts === b.ts ? (a.offset < b.offset ? -1 : 1) : a.ts < b.ts ? -1 : 1);
  }
}

/** Collects events to batches of random size; batches without a common key are applied in the wrong order on purpose. */
class Applier {
  readonly #own: ModelCollection;
  readonly #content: Content;
  readonly #sizes: readonly number[];
  #events: (InsertEvent | DeleteEvent)[] = [];
  #held: FoldedBatch | undefined;
  #batches = 0;

  constructor(own: ModelCollection, content: Content, sizes: readonly number[]) {
    this.#own = own;
    this.#content = content;
    this.#sizes = sizes;
  }

  add(entry: LogEntry): void {
    if (entry.kind === "insert" || entry.kind === "delete") {
      this.#events.push(eventOf(this.#own, entry));
      if (this.#events.length >= this.#sizes[this.#batches % this.#sizes.length]!) this.#fold();
      return;
    }
    this.#drain();
    for (const name of [...this.#content.keys()]) {
      if (entry.kind === "drop_collection" || name.startsWith(`${(entry as { partition?: bigint }).partition}/`)) {
        // Only this channel's rows: each channel brings its own drop.
        if (shardOf(this.#own, keyOf(name)) === entry.vchannel) this.#content.delete(name);
      }
    }
  }

  finish(): void {
    this.#drain();
  }

  #fold(): void {
    const target = {
      primaryKey: { fieldID: 100n, name: "id", dataType: this.#own.partitionKey ? DataType.VarChar : DataType.Int64 },
      hasPartitionKey: this.#own.partitionKey,
      maxWriteBytes: 200,
    };
    const batch = foldEvents(this.#events, target);
    this.#events = [];
    this.#batches++;
    if (this.#held !== undefined) {
      if (keyConflict(this.#held, batch)) {
        this.#write(this.#held);
        this.#held = batch;
      } else this.#write(batch);
    } else this.#held = batch;
  }

  #drain(): void {
    if (this.#events.length > 0) this.#fold();
    if (this.#held !== undefined) this.#write(this.#held);
    this.#held = undefined;
  }

  #write(batch: FoldedBatch): void {
    for (const remove of batch.removes) {
      for (const key of plain(remove.keys)) {
        for (const name of [...this.#content.keys()]) {
          const inScope = remove.partitionId === undefined || name.startsWith(`${remove.partitionId}/`);
          if (inScope && keyOf(name) === key) this.#content.delete(name);
        }
      }
    }
    const seen = new Set<string>();
    for (const write of batch.writes) {
      const ids = decodeFieldData(write.fieldsData[0]!, write.rows).data;
      const values = decodeFieldData(write.fieldsData[1]!, write.rows).data;
      if (values.kind !== "int64") throw new Error("value column");
      for (let row = 0; row < write.rows; row++) {
        const key = ids.kind === "int64"
          ? ids.values[row]!
          : ids.kind === "utf8"
          ? BigInt(new TextDecoder().decode(ids.values[row]!).slice(1))
          : -1n;
        const name = nameOf(this.#own, write.partitionId, key);
        if (seen.has(name)) throw new Error(`one batch writes ${name} twice`);
        seen.add(name);
        this.#content.set(name, values.values[row]!);
      }
    }
  }
}

/** The log's state at `end`, replayed from its first record, with the imports that were complete in `taken`. */
export function truth(model: MilvusModel, taken: Taken, end: bigint): Map<bigint, Content> {
  const done = new Set(taken.snapshot.imports.filter((task) => task.state === "completed").map((task) => task.id));
  const out = new Map<bigint, Content>();
  for (const { id } of taken.snapshot.catalog.collections) {
    const own = model.collections.find((item) => item.id === id)!;
    const entries = [...model.logs.values()].flat().filter((entry) => entry.collection === id && entry.ts <= end);
    for (const task of model.imports) {
      if (task.collection !== id || !done.has(task.id)) continue;
      entries.push({
        kind: "insert",
        ts: task.ts,
        offset: 0n,
        vchannel: "",
        collection: id,
        partition: task.partition,
        segment: 0n,
        rows: task.rows,
      });
    }
    const content: Content = new Map();
    for (const entry of entries.sort(inOrder)) replay(own, content, entry);
    out.set(id, content);
  }
  return out;
}

export function replay(own: ModelCollection, content: Content, entry: LogEntry): void {
  switch (entry.kind) {
    case "insert":
      for (const row of entry.rows) content.set(nameOf(own, entry.partition, row.key), row.value);
      return;
    case "delete":
      for (const key of entry.keys) {
        const scope = own.partitionKey
          ? ["*"]
          : entry.partition === -1n
          ? [...own.partitions.keys()]
          : [entry.partition];
        for (const partition of scope) content.delete(`${partition}/${key}`);
      }
      return;
    case "drop_partition":
      for (const name of [...content.keys()]) if (name.startsWith(`${entry.partition}/`)) content.delete(name);
      return;
    case "drop_collection":
      content.clear();
      return;
    case "tick":
      return;
  }
}

export function nameOf(own: ModelCollection, partition: bigint, key: bigint): string {
  return `${own.partitionKey ? "*" : partition}/${key}`;
}

function keyOf(name: string): bigint {
  return BigInt(name.slice(name.indexOf("/") + 1));
}

function shardOf(own: ModelCollection, key: bigint): string {
  return own.vchannels[Number(key) % own.vchannels.length]!;
}

/** Collections with a partition key have varchar keys, so that both kinds are tried. */
function keysOf(own: ModelCollection, keys: readonly bigint[]): Keys {
  return own.partitionKey
    ? { kind: "varchar", values: keys.map((key) => `k${key}`) }
    : { kind: "int64", values: BigInt64Array.from(keys) };
}

function plain(keys: Keys): bigint[] {
  return keys.kind === "int64" ? [...keys.values] : keys.values.map((key) => BigInt(key.slice(1)));
}

function eventOf(
  own: ModelCollection,
  entry: Extract<LogEntry, { kind: "insert" | "delete" }>,
): InsertEvent | DeleteEvent {
  const common = {
    generation: 1,
    ts: entry.ts,
    pchannel: "",
    vchannel: entry.vchannel,
    offset: entry.offset,
    bytes: 0,
    collectionId: own.id,
    partitionId: entry.partition,
    partitionName: `p${entry.partition}`,
    msgId: 0n,
  } as const;
  if (entry.kind === "delete") return { ...common, kind: "delete", keys: keysOf(own, entry.keys) };
  const column = (fieldId: bigint, name: string, type: DataType, data: Column["data"]): Uint8Array =>
    encodeColumn({ fieldId, name, type, elementType: DataType.None, dim: 0, isDynamic: false, valid: undefined, data });
  const keys = keysOf(own, entry.rows.map((row) => row.key));
  const id = keys.kind === "int64"
    ? column(100n, "id", DataType.Int64, { kind: "int64", values: keys.values as BigInt64Array })
    : column(100n, "id", DataType.VarChar, {
      kind: "utf8",
      values: keys.values.map((key) => new TextEncoder().encode(key)),
    });
  const values = BigInt64Array.from(entry.rows.map((row) => row.value));
  return {
    ...common,
    kind: "insert",
    segmentId: entry.segment,
    rows: entry.rows.length,
    fieldsData: [id, column(101n, "value", DataType.Int64, { kind: "int64", values })],
  };
}

function collectionOf(own: ModelCollection): Collection {
  return {
    id: own.id,
    dbId: 1n,
    dbName: "default",
    name: `c${own.id}`,
    schema: create(CollectionSchemaSchema, { name: `c${own.id}` }),
    shards: own.vchannels.length,
    vchannels: own.vchannels,
    pchannels: own.pchannels,
    startOffsets: new Map(own.pchannels.map((pchannel) => [pchannel, own.startOffset])),
    createTs: own.createTs,
    consistency: ConsistencyLevel.Strong,
    properties: {},
    partitions: [...own.partitions].filter(([, { live }]) => live).map(([id]) => ({
      id,
      name: `p${id}`,
      createTs: 0n,
    })),
    aliases: [],
    indexes: [],
    load: undefined,
  };
}

function segmentOf(own: ModelSegment): Segment {
  const readable = (own.state === "growing" || own.state === "flushed") && !own.isImporting;
  const file = (items: readonly { readonly ts: bigint }[], number: number): LogFile => ({
    path: `${own.id}/${number}`,
    logId: BigInt(number),
    entries: BigInt(items.length),
    tsFrom: items.map((item) => item.ts).reduce((min, ts) => ts < min ? ts : min),
    tsTo: items.map((item) => item.ts).reduce((max, ts) => ts > max ? ts : max),
    size: 1n,
  });
  const position = { channel: own.vchannel, offset: own.startOffset, ts: own.startTs };
  return {
    id: own.id,
    collectionId: own.collection,
    partitionId: own.partition,
    vchannel: own.vchannel,
    state: own.state,
    level: 0,
    rows: BigInt(own.files.flat().length),
    startPosition: own.startOffset < 0n ? undefined : position,
    dmlPosition: { ...position, ts: own.dmlTs },
    storageVersion: 0n,
    manifestPath: "",
    commitTimestamp: 0n,
    isImporting: own.isImporting,
    isFake: false,
    isInvisible: false,
    createdByCompaction: own.compactionFrom.length > 0,
    compactionFrom: own.compactionFrom,
    compacted: false,
    droppedAt: 0n,
    binlogs: own.files.length === 0 ? [] : [{ fieldId: 100n, childFields: [], files: own.files.map(file) }],
    deltalogs: own.named.length === 0 ? [] : [{ fieldId: 0n, childFields: [], files: own.named.map(file) }],
    statslogs: [],
    class: readable ? "rows" : "none",
    classReason: "",
  };
}
