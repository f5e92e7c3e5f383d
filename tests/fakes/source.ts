/**
 * A source in memory: collections of an int64 key and an int64 value, whose log is a {@link FakeLog} with records of its own
 * simple form. Its binlogs are empty: all rows are in the log, behind the collections' creation.
 */
import { clone, create, toBinary } from "@bufbuild/protobuf";
import type { DescribeRecord, Follow } from "../../pipeline/flow/mod.ts";
import {
  type BinlogSource,
  type Catalog,
  type CatalogChange,
  type Collection,
  type DdlEvent,
  hybridFromMs,
  type HybridTs,
  type LogEvent,
  type LogRecord,
  type LogSource,
  type MetaSource,
  type Snapshot,
} from "../../pipeline/model/mod.ts";
import { ConsistencyLevel } from "../../pipeline/proto/gen/common_pb.ts";
import { OpType, PlanNodeSchema } from "../../pipeline/proto/gen/plan_pb.ts";
import {
  CollectionSchemaSchema,
  DataType,
  FieldSchemaSchema,
  ValueFieldSchema,
} from "../../pipeline/proto/gen/schema_pb.ts";
import { shardOf } from "../../pipeline/transforms/mod.ts";
import type { RecordDecoder } from "../../sources/log/decoded.ts";
import { followPchannel } from "../../sources/log/mod.ts";
import { catalogChange } from "./catalog_change.ts";
import { FakeLog } from "./log.ts";
import { int64Column } from "./int64_column.ts";
import { NO_FILES } from "./no_files.ts";

export type FakeRow = readonly [key: bigint, value: bigint];

export interface FakeRecord {
  readonly kind: "tick" | "insert" | "delete" | "predicate" | "truncate" | "drop" | "create";
  readonly ts: string;
  readonly collection?: string;
  /** Its vchannel. Default: 0. */
  readonly shard?: number;
  readonly rows?: readonly (readonly [string, string])[];
  /** Of a change, the same in each of its copies. */
  readonly broadcast?: { readonly id: string; readonly vchannels: readonly string[] };
  /** What the rows have in the field that was added. */
  readonly late?: "value" | "null";
}

const KEY = create(FieldSchemaSchema, { fieldID: 100n, name: "id", isPrimaryKey: true, dataType: DataType.Int64 });
const VALUE = create(FieldSchemaSchema, { fieldID: 101n, name: "value", dataType: DataType.Int64 });

/** Its values are those of `value`. */
const LATE = create(FieldSchemaSchema, { fieldID: 102n, name: "late", dataType: DataType.Int64, nullable: true });

/** Half a millisecond: a clock that was asked since the last tick has said less. */
const AFTER_TICK = 1n << 17n;

export class FakeSource {
  readonly log: FakeLog;
  /** Rows as a client of the source sees them. */
  readonly rows = new Map<string, Map<bigint, bigint>>();
  readonly #collections = new Map<string, Collection>();
  readonly #changes: CatalogChange[] = [];
  /** Watches of the metadata that were begun. */
  watches = 0;
  snapshots = 0;
  #changed = Promise.withResolvers<void>();
  #ms = 1_795_000_000_000;
  #ids = 100n;
  #revision = 1n;

  readonly #silent: boolean;
  readonly #tickMs: number;
  readonly #autoId: boolean;
  /** pchannels that were written to since their last tick. */
  readonly #written = new Set<string>();

  /** `silent`: as from generation 2 on, no tick comes where nothing was written. `tickMs`: where it is {@link ticking}. `autoId`: keys are said to be its own. */
  constructor(
    readonly pchannels: readonly string[] = ["p_0", "p_1"],
    { silent = false, tickMs = 2, autoId = false }: {
      readonly silent?: boolean;
      readonly tickMs?: number;
      readonly autoId?: boolean;
    } = {},
  ) {
    this.#silent = silent;
    this.#tickMs = tickMs;
    this.#autoId = autoId;
    this.log = new FakeLog({ maxRecords: 8, ...silent ? { waitMs: 5 } : {} });
    this.follow = followOf(this.log, silent ? 2 : 1);
    for (const pchannel of pchannels) this.log.createTopic(pchannel);
  }

  /** By its clock; every record so far is older. */
  get now(): HybridTs {
    return hybridFromMs(this.#ms);
  }

  get collections(): readonly Collection[] {
    return [...this.#collections.values()];
  }

  /** With a shard on each of the pchannels. */
  create(name: string, ...pchannels: readonly string[]): Collection {
    const id = ++this.#ids;
    const offsets = pchannels.map((pchannel, shard) =>
      [pchannel, this.#append(pchannel, { kind: "create", collection: `${id}`, shard })] as const
    );
    const collection: Collection = {
      id,
      dbId: 1n,
      dbName: "default",
      name,
      schema: create(CollectionSchemaSchema, { name, fields: [{ ...KEY, autoID: this.#autoId }, VALUE] }),
      shards: pchannels.length,
      vchannels: pchannels.map((pchannel, shard) => `${pchannel}_${id}v${shard}`),
      pchannels,
      startOffsets: new Map(offsets),
      createTs: hybridFromMs(this.#ms),
      consistency: ConsistencyLevel.Bounded,
      properties: {},
      partitions: [{ id: id + 10_000n, name: "_default", createTs: 0n }],
      aliases: [],
      indexes: [],
      load: undefined,
    };
    this.#collections.set(name, collection);
    this.rows.set(name, new Map());
    this.#note({ changed: [id] });
    return collection;
  }

  drop(name: string): void {
    const { id, pchannels } = this.#collections.get(name)!;
    this.#collections.delete(name);
    this.rows.delete(name);
    this.#note({ gone: [id] });
    pchannels.forEach((pchannel, shard) => this.#append(pchannel, { kind: "drop", collection: `${id}`, shard }));
  }

  rename(name: string, to: string): void {
    const collection = this.#collections.get(name)!;
    this.#collections.delete(name);
    this.#collections.set(to, { ...collection, name: to });
    this.rows.set(to, this.rows.get(name)!);
    this.rows.delete(name);
    this.#note({ changed: [collection.id] });
  }

  /** A field `late`, which rows of before have nothing in. */
  addField(name: string, defaultValue?: bigint): void {
    const collection = this.#collections.get(name)!;
    const late = clone(FieldSchemaSchema, LATE);
    if (defaultValue !== undefined) {
      late.defaultValue = create(ValueFieldSchema, { data: { case: "longData", value: defaultValue } });
    }
    const schema = create(CollectionSchemaSchema, { name, fields: [KEY, VALUE, late] });
    this.#collections.set(name, { ...collection, schema });
    this.#note({ changed: [collection.id] });
  }

  load(name: string): void {
    const collection = this.#collections.get(name)!;
    const load = { scope: "collection", partitionIds: [], replicas: 1, loadFields: [], loaded: true } as const;
    this.#collections.set(name, { ...collection, load });
    this.#note({ changed: [collection.id] });
  }

  insert(name: string, ...rows: readonly FakeRow[]): void {
    this.#insert(name, "value", rows);
  }

  /** With a null in the field that was added. */
  insertNull(name: string, ...rows: readonly FakeRow[]): void {
    this.#insert(name, "null", rows);
  }

  #insert(name: string, has: "value" | "null", rows: readonly FakeRow[]): void {
    const { id, pchannels, schema } = this.#collections.get(name)!;
    for (const [key, value] of rows) this.rows.get(name)!.set(key, value);
    const late = schema.fields.length > 2 ? { late: has } : {};
    for (const [shard, own] of Map.groupBy(rows, ([key]) => shardOf(key, pchannels.length))) {
      const texts = own.map(([k, v]) => [`${k}`, `${v}`] as const);
      this.#append(pchannels[shard]!, { kind: "insert", collection: `${id}`, shard, rows: texts, ...late });
    }
  }

  delete(name: string, ...keys: readonly bigint[]): void {
    const { id, pchannels } = this.#collections.get(name)!;
    for (const key of keys) this.rows.get(name)!.delete(key);
    for (const [shard, own] of Map.groupBy(keys, (key) => shardOf(key, pchannels.length))) {
      const rows = own.map((key) => [`${key}`, "0"] as const);
      this.#append(pchannels[shard]!, { kind: "delete", collection: `${id}`, shard, rows });
    }
  }

  /** A delete of the rows whose value is larger, on one shard: each has its own copy of it. */
  deleteAbove(name: string, value: bigint, shard = 0): void {
    const { id, pchannels } = this.#collections.get(name)!;
    const rows = this.rows.get(name)!;
    for (const [key, own] of rows) if (own > value && shardOf(key, pchannels.length) === shard) rows.delete(key);
    this.#append(pchannels[shard]!, { kind: "predicate", collection: `${id}`, shard, rows: [["0", `${value}`]] });
  }

  /** Destroys all rows, by a broadcast of which each vchannel has a copy at a time of its own. */
  truncate(name: string): void {
    const { id, pchannels } = this.#collections.get(name)!;
    this.rows.get(name)!.clear();
    const vchannels = pchannels.map((pchannel, shard) => `${pchannel}_${id}v${shard}`);
    const broadcast = { id: `${++this.#ids}`, vchannels };
    pchannels.forEach((pchannel, shard) =>
      this.#append(pchannel, { kind: "truncate", collection: `${id}`, shard, broadcast })
    );
  }

  /** Time goes on, on the pchannels that have a collection; from generation 2 on, on those that were written to. */
  tick(): void {
    const live = new Set(this.#silent ? this.pchannels : this.collections.flatMap(({ pchannels }) => pchannels));
    this.#ms++;
    for (const pchannel of live) {
      if (this.#silent && !this.#written.delete(pchannel)) continue;
      this.#append(pchannel, { kind: "tick" });
    }
  }

  /** Ticks until it is disposed. */
  ticking(): Disposable {
    const timer = setInterval(() => this.tick(), this.#tickMs);
    return { [Symbol.dispose]: () => clearInterval(timer) };
  }

  readonly meta: MetaSource = {
    snapshot: () => {
      this.snapshots++;
      return Promise.resolve(this.#snapshot());
    },
    watch: (revision, signal) => this.#watch(revision, signal),
    lookup: (id) => {
      const collection = this.collections.find((item) => item.id === id);
      return Promise.resolve(
        collection === undefined ? { state: "unknown" } : {
          ...{ state: "live", collection, revision: this.#revision },
        },
      );
    },
    check: () => Promise.resolve([]),
    close: () => Promise.resolve(),
  };

  readonly binlogs: BinlogSource = NO_FILES;

  readonly follow: Follow;

  readonly describe: DescribeRecord = (record) => {
    const { kind, ts, collection, shard = 0 } = parseRecord(record);
    const id = collection === undefined ? undefined : BigInt(collection);
    const vchannel = id === undefined ? "" : `${record.topic}_${id}v${shard}`;
    return { ts: BigInt(ts), vchannel, type: kind === "drop" ? "drop_collection" : kind, collectionId: id };
  };

  #append(pchannel: string, record: Omit<FakeRecord, "ts">): bigint {
    const behind = record.kind === "tick" ? 0n : this.#silent ? AFTER_TICK : 1n;
    const ts = `${hybridFromMs(this.#ms) + behind}`;
    if (record.kind !== "tick") {
      this.#ms++;
      this.#written.add(pchannel);
    }
    const value = new TextEncoder().encode(JSON.stringify({ ...record, ts }));
    return this.log.append(pchannel, [{ value }]);
  }

  #catalog(): Catalog {
    return {
      databases: [{ id: 1n, name: "default", createTs: 0n, properties: {} }],
      collections: this.collections,
      rbac: { users: [], roles: [], grants: [], privilegeGroups: [] },
      notLive: [],
    };
  }

  #note(change: { readonly changed?: readonly bigint[]; readonly gone?: readonly bigint[] }): void {
    this.#changes.push(catalogChange(++this.#revision, this.#catalog(), change));
    this.#changed.resolve();
    this.#changed = Promise.withResolvers();
  }

  #snapshot(): Snapshot {
    return {
      revision: this.#revision,
      clusterId: "1",
      catalog: this.#catalog(),
      segments: [],
      checkpoints: new Map(),
      droppedChannels: [],
      imports: [],
      serverVersion: "2.3.5",
      takenAtMs: Date.now(),
    };
  }

  async *#watch(revision: bigint, signal: AbortSignal): AsyncGenerator<CatalogChange> {
    this.watches++;
    const aborted = new Promise<never>((_resolve, reject) =>
      signal.addEventListener("abort", () => reject(signal.reason), { once: true })
    );
    aborted.catch(() => {});
    for (let i = 0;; i++) {
      signal.throwIfAborted();
      while (i >= this.#changes.length) await Promise.race([this.#changed.promise, aborted]);
      if (this.#changes[i]!.revision > revision) yield this.#changes[i]!;
    }
  }
}

/** What a queue has to know of a record. */
export function recordFacts(record: LogRecord): { readonly isTick: boolean; readonly ts: HybridTs } {
  const { kind, ts } = parseRecord(record);
  return { isTick: kind === "tick", ts: BigInt(ts) };
}

/** Follows a log that holds records of a {@link FakeSource}. */
export function followOf(log: LogSource, generation: 1 | 2 = 1): Follow {
  const said: RecordDecoder = (record, context) => {
    const decoded = decode(record, context);
    return decoded.kind === "tick" ? { ...decoded, generation } : decoded;
  };
  return (request, signal) => followPchannel(log, { ...request, decode: said }, signal);
}

/** What a record of the source's own simple form says. */
export function parseRecord(record: LogRecord): FakeRecord {
  return JSON.parse(new TextDecoder().decode(record.value!));
}

const decode: RecordDecoder = (record) => {
  const { kind, ts: text, collection, shard = 0, rows = [], late, broadcast } = parseRecord(record);
  const ts = BigInt(text);
  if (kind === "tick") return { kind, generation: 1, ts };
  const collectionId = BigInt(collection!);
  const { topic: pchannel, offset } = record;
  const vchannel = `${pchannel}_${collectionId}v${shard}`;
  const bytes = record.value!.length;
  const base = { generation: 1, ts, pchannel, vchannel, offset, bytes, collectionId } as const;
  const partition = { partitionId: collectionId + 10_000n, partitionName: "_default", msgId: offset };
  const keys = rows.map(([key]) => BigInt(key));
  switch (kind) {
    case "insert": {
      const values = rows.map(([, value]) => BigInt(value));
      const fieldsData = [int64Column(100n, "id", keys), int64Column(101n, "value", values)];
      if (late !== undefined) fieldsData.push(int64Column(102n, "late", values, late === "null"));
      return { ...base, ...partition, kind, segmentId: 1n, rows: rows.length, fieldsData };
    }
    case "delete":
      return { ...base, ...partition, kind, keys: { kind: "int64", values: keys } };
    case "predicate": {
      const plan = toBinary(PlanNodeSchema, above(BigInt(rows[0]![1])));
      const reason = "A delete is by a predicate";
      return { ...base, kind: "block", type: 0, reason, predicate: { plan, partitionId: -1n } };
    }
    case "truncate":
      return { ...ddl(base, kind), generation: 2, broadcast: { ...broadcast!, id: BigInt(broadcast!.id) } };
    case "create":
    case "drop":
      return ddl(base, kind);
  }
};

function above(value: bigint) {
  const columnInfo = { fieldId: VALUE.fieldID, dataType: VALUE.dataType };
  const more = { columnInfo, op: OpType.GreaterThan, value: { val: { case: "int64Val" as const, value } } };
  return create(PlanNodeSchema, {
    node: { case: "predicates", value: { expr: { case: "unaryRangeExpr", value: more } } },
  });
}

function ddl(
  base: Pick<LogEvent, "ts" | "pchannel" | "vchannel" | "offset" | "bytes"> & {
    readonly generation: 1;
    readonly collectionId: bigint;
  },
  kind: "create" | "drop" | "truncate",
): DdlEvent {
  return {
    ...base,
    kind: "ddl",
    operation: `${kind}_collection`,
    type: 0,
    typeName: kind,
    collectionName: "",
    partitionIds: [],
    partitionName: "",
    message: undefined,
  };
}
