/**
 * A target in memory that takes every type there is and keeps each row as it was sent, to the byte. Its steps are planned as
 * the Milvus sink plans them for a release, the newest unless another one is asked for.
 */
import {
  columnToJson,
  decodeFieldData,
  type KeyField,
  keysOf,
  mergeFieldsData,
  selectRows,
} from "../../pipeline/columns/mod.ts";
import { TidemarkError } from "../../pipeline/errors.ts";
import type { Json } from "../../pipeline/json.ts";
import {
  type AliasOwner,
  type DdlOutcome,
  type OwnedCollection,
  partitionKey,
  primaryKey,
  type RowSink,
  type TargetGaps,
  type TargetName,
} from "../../pipeline/model/mod.ts";
import type { CollectionSchema } from "../../pipeline/proto/gen/schema_pb.ts";
import { execution, type RunnableStep } from "./exact_steps.ts";
import { meets, scalarsOf } from "./expression.ts";
import { type Features, featuresOf } from "../../sinks/milvus/features.ts";
import { gapsOf } from "../../sinks/milvus/plan/gaps.ts";
import { plainStep, runSteps } from "../../sinks/milvus/reconcile/execute.ts";
import { planCollection, type PlannedStep } from "../../sinks/milvus/plan/collection.ts";
import { planDatabases } from "../../sinks/milvus/reconcile/databases.ts";
import type { Actual, ActualCollection } from "../../sinks/milvus/actual.ts";

type Key = bigint | string;

/** Where a row is among the rows that came with it. */
interface StoredRow {
  readonly fieldsData: readonly Uint8Array[];
  readonly rows: number;
  readonly row: number;
}

export interface ExactCollection {
  readonly identity: string;
  actual: ActualCollection;
  /** Partition -> key -> row; all is in `""` where a key chooses the partition. */
  readonly partitions: Map<string, Map<Key, StoredRow>>;
}

/** Rows of a page that is read. */
const PAGE = 1000;

export class ExactRowSink implements RowSink {
  readonly kind = "rows";
  readonly bulk = undefined;
  /** `database/collection` -> what it holds. */
  readonly collections = new Map<string, ExactCollection>();
  readonly databases = new Map<string, Readonly<Record<string, string>>>([["default", {}]]);
  /** Sentences of all steps that were done. */
  readonly done: string[] = [];
  /** Awaited before each write and removal. */
  beforeWrite: (signal: AbortSignal) => Promise<void> = () => Promise.resolve();
  #made = 0;

  readonly #features: Features;

  /** `release`: whose limits and gaps it has. */
  constructor(readonly name: string, release = "3.0.0") {
    this.#features = featuresOf(release);
  }

  gaps(...[{ source, target }, made]: Parameters<Required<RowSink>["gaps"]>): Promise<TargetGaps> {
    const there = made ? this.collections.get(keyOf(target))?.actual.schema : undefined;
    const { version } = this.#features;
    const gaps = gapsOf(
      source.schema,
      this.#features,
      there && {
        names: new Set([...there.fields, ...there.structArrayFields].map(({ name }) => name)),
        withDefault: new Set(
          there.fields.flatMap(({ name, defaultValue }) => defaultValue === undefined ? [] : [name]),
        ),
      },
    );
    return Promise.resolve({ release: `Milvus ${version}`, gaps });
  }

  /** Column -> value as {@link columnToJson} says it, of every row: partition -> key -> row. */
  rowsOf({ db, name }: TargetName): Map<string, Map<Key, Record<string, Json>>> {
    const decoded = new Map<readonly Uint8Array[], Record<string, Json[]>>();
    const found = this.#get({ db, name });
    return new Map([...found.partitions].map(([partition, rows]) => [
      partition,
      new Map([...rows].map(([key, stored]) => {
        let columns = decoded.get(stored.fieldsData);
        if (columns === undefined) decoded.set(stored.fieldsData, columns = columnsOf(stored));
        return [
          key,
          Object.fromEntries(Object.entries(columns).map(([column, values]) => [column, values[stored.row]!])),
        ];
      })),
    ]));
  }

  schemaOf(target: TargetName): CollectionSchema {
    return this.#get(target).actual.schema;
  }

  check(): ReturnType<RowSink["check"]> {
    return Promise.resolve([]);
  }

  state(...[target, signal]: Parameters<RowSink["state"]>): ReturnType<RowSink["state"]> {
    if (signal.aborted) return Promise.reject(new TidemarkError("aborted", "The signal fired"));
    const found = this.collections.get(keyOf(target));
    if (found === undefined) return Promise.resolve({ exists: false, rows: 0n, loaded: false, partitions: [] });
    return Promise.resolve({
      exists: true,
      rows: countIn(found, undefined),
      loaded: found.actual.load !== undefined,
      partitions: found.actual.partitions,
    });
  }

  identity(target: TargetName): Promise<string | undefined> {
    return Promise.resolve(this.collections.get(keyOf(target))?.identity);
  }

  async plan(wanted: OwnedCollection): ReturnType<RowSink["plan"]> {
    return this.#planned(wanted, undefined, "all").map(plainStep);
  }

  reconcileDatabases(...[wanted, drop, whose, gate]: Parameters<RowSink["reconcileDatabases"]>): Promise<DdlOutcome[]> {
    const steps = planDatabases(wanted, drop, this.databases, whose).map((step): RunnableStep => ({
      step: plainStep(step),
      essential: false,
      run: async () => {
        const { action } = step;
        if (action.do === "drop") {
          if ([...this.collections.keys()].some((key) => key.startsWith(`${action.name}/`))) {
            throw new TidemarkError("refused", `Database ${action.name} is not empty`);
          }
          this.databases.delete(action.name);
          return;
        }
        const before = Object.entries(this.databases.get(action.name) ?? {});
        const kept = action.do === "create" ? [] : before.filter(([key]) => !action.remove.includes(key));
        const set = action.do === "create" ? action.properties : action.set;
        this.databases.set(action.name, { ...Object.fromEntries(kept), ...set });
      },
    }));
    return this.#carryOut(steps, gate);
  }

  reconcile(...[wanted, previous, parts, gate]: Parameters<RowSink["reconcile"]>): Promise<DdlOutcome[]> {
    const steps = this.#planned(wanted, previous, parts).map((step): RunnableStep => ({
      step: plainStep(step),
      essential: step.action.do === "create_collection" || step.action.do === "impossible",
      run: async () => {
        if (!this.databases.has(wanted.target.db)) {
          throw new TidemarkError("refused", `There is no database ${wanted.target.db}`);
        }
        execution(this.collections, wanted.target, () => `${++this.#made}`)(step.action);
      },
    }));
    return this.#carryOut(steps, gate);
  }

  async #carryOut(steps: readonly RunnableStep[], gate: Parameters<typeof runSteps>[1]): Promise<DdlOutcome[]> {
    const outcomes = await runSteps(steps, gate);
    for (const { result, sentence } of outcomes) if (result === "applied") this.done.push(sentence);
    return outcomes;
  }

  #planned(wanted: OwnedCollection, previous: TargetName | undefined, parts: "structure" | "all"): PlannedStep[] {
    const { db } = wanted.target;
    const aliasOwners = new Map<string, AliasOwner>();
    for (const [key, { actual, identity }] of this.collections) {
      if (key === keyOf(wanted.target) || !key.startsWith(`${db}/`)) continue;
      for (const alias of actual.aliases) aliasOwners.set(alias, { name: key.slice(db.length + 1), identity });
    }
    const state = {
      current: this.#actual(wanted.target),
      previous: previous === undefined ? undefined : { name: previous, actual: this.#actual(previous) },
      aliasOwners,
    };
    return planCollection(wanted, state, { parts, autoId: "preserve", features: this.#features, replicas: undefined });
  }

  #actual({ db, name }: TargetName): Actual {
    const found = this.collections.get(keyOf({ db, name }));
    if (found !== undefined) return { kind: "collection", collection: found.actual };
    for (const [key, { actual, identity }] of this.collections) {
      if (key.startsWith(`${db}/`) && actual.aliases.includes(name)) {
        return { kind: "alias", of: { name: key.slice(db.length + 1), identity } };
      }
    }
    return { kind: "missing" };
  }

  readonly reconcileRbac = (): Promise<DdlOutcome[]> => Promise.resolve([]);

  async write(...[{ target, partition, rows, fieldsData, mode }, signal]: Parameters<RowSink["write"]>): Promise<void> {
    await this.beforeWrite(signal);
    signal.throwIfAborted();
    const { actual, partitions } = this.#get(target);
    const known = new Set(actual.schema.fields.map(({ name }) => name));
    for (const nested of actual.schema.structArrayFields) for (const { name } of nested.fields) known.add(name);
    const columns = fieldsData.map((bytes) => decodeFieldData(bytes, rows));
    for (const { name, isDynamic } of columns) {
      if (known.has(name) || (isDynamic && actual.schema.enableDynamicField)) continue;
      throw new TidemarkError("refused", `${keyOf(target)} does not have the column ${name}`);
    }
    const name = partitionKey(actual.schema) === undefined ? partition : "";
    if (name !== "" && !actual.partitions.includes(name)) {
      throw new TidemarkError("refused", `${keyOf(target)} has no partition ${name}`);
    }
    let there = partitions.get(name);
    if (there === undefined) partitions.set(name, there = new Map());
    const own = fieldsData.map((bytes) => bytes.slice());
    const keys = keysOf(own, keyField(actual.schema), rows).values;
    for (let row = 0; row < rows; row++) {
      const key = keys[row]!;
      if (mode === "insert" && there.has(key)) {
        throw new TidemarkError("unexpected", `Key ${key} was inserted twice into ${keyOf(target)}`);
      }
      there.set(key, { fieldsData: own, rows, row });
    }
  }

  async remove(...[{ target, partition, keys }, signal]: Parameters<RowSink["remove"]>): Promise<void> {
    await this.beforeWrite(signal);
    signal.throwIfAborted();
    const { actual, partitions } = this.#get(target);
    const name = partitionKey(actual.schema) === undefined ? partition : undefined;
    for (const [own, rows] of partitions) {
      if (name === undefined || own === name) { for (const key of keys.values) rows.delete(key); }
    }
  }

  dropCollection(target: TargetName): Promise<void> {
    if (this.collections.delete(keyOf(target))) this.done.push(`Drop collection ${target.db}.${target.name}`);
    return Promise.resolve();
  }

  dropPartition(target: TargetName, partition: string): Promise<void> {
    const found = this.collections.get(keyOf(target));
    if (found?.actual.partitions.includes(partition) === true) {
      found.actual = { ...found.actual, partitions: found.actual.partitions.filter((name) => name !== partition) };
      found.partitions.delete(partition);
      this.done.push(`Drop partition ${partition} of ${target.db}.${target.name}`);
    }
    return Promise.resolve();
  }

  truncate(target: TargetName): Promise<void> {
    this.#get(target).partitions.clear();
    this.done.push(`Truncate ${target.db}.${target.name}`);
    return Promise.resolve();
  }

  readonly flush = (): Promise<void> => Promise.resolve();

  async count(target: TargetName, partition: string | undefined): Promise<bigint> {
    return countIn(this.#loaded(target), partition);
  }

  async *read(...[{ target }, selection]: Parameters<RowSink["read"]>): ReturnType<RowSink["read"]> {
    const { partitions, actual } = this.#loaded(target);
    const { partition, keys, partitionKeys, where, outputFields } = selection;
    if (partitionKeys !== undefined) {
      const field = { ...partitionKey(actual.schema)!, fieldID: -1n };
      const all = [...partitions.values()].flatMap((rows) => [...rows]);
      for (const value of partitionKeys) {
        for (const [key, { fieldsData, rows, row }] of all) {
          if (keys !== undefined && !(keys.values as Key[]).includes(key)) continue;
          if (where !== undefined && !meets(where, scalarsOf(fieldsData, rows, row))) continue;
          if (keysOf(fieldsData, field, rows).values[row] !== value) continue;
          const own = fieldsData.filter((bytes) => asked(bytes, rows, outputFields));
          yield { rows: 1, fieldsData: selectRows(own, rows, Uint32Array.of(row)), partitionKey: value };
        }
      }
      return;
    }
    const wanted = keys === undefined ? undefined : new Set<Key>(keys.values);
    const found = [...partitions].filter(([name]) => partition === undefined || name === partition)
      .flatMap(([, rows]) => [...rows]).filter(([key]) => wanted === undefined || wanted.has(key))
      .filter(([, { fieldsData, rows, row }]) => where === undefined || meets(where, scalarsOf(fieldsData, rows, row)))
      .sort(([a], [b]) => a < b ? -1 : a > b ? 1 : 0);
    for (let at = 0; at < found.length; at += PAGE) {
      const page = runs(found.slice(at, at + PAGE).map(([, stored]) => stored)).map(({ fieldsData, rows, keep }) => ({
        fieldsData: selectRows(fieldsData.filter((bytes) => asked(bytes, rows, outputFields)), rows, keep),
        rows: keep.length,
      }));
      const merged = mergeFieldsData(page);
      if (merged !== undefined) yield { rows: page.reduce((sum, { rows }) => sum + rows, 0), fieldsData: merged };
      else yield* page;
    }
  }

  readonly close = (): Promise<void> => Promise.resolve();

  #get(target: TargetName): ExactCollection {
    const found = this.collections.get(keyOf(target));
    if (found === undefined) throw new TidemarkError("not_found", `collection not found: ${keyOf(target)}`);
    return found;
  }

  #loaded(target: TargetName): ExactCollection {
    const found = this.#get(target);
    if (found.actual.load === undefined) {
      throw new TidemarkError("refused", `${keyOf(target)} is not loaded, so its rows cannot be read`);
    }
    return found;
  }
}

export function keyOf({ db, name }: TargetName): string {
  return `${db}/${name}`;
}

/** Ids of the columns are the source's, and the schema here has none of its own: the name decides. */
function keyField(schema: CollectionSchema): KeyField {
  return { ...primaryKey(schema)!, fieldID: -1n };
}

function columnsOf({ fieldsData, rows }: StoredRow): Record<string, Json[]> {
  return Object.fromEntries(fieldsData.map((bytes) => {
    const column = decodeFieldData(bytes, rows);
    return [column.isDynamic && column.name === "" ? "$meta" : column.name, columnToJson(column)];
  }));
}

/** Rows one after the other that came together. */
function runs(page: readonly StoredRow[]) {
  const found: { fieldsData: readonly Uint8Array[]; rows: number; keep: Uint32Array }[] = [];
  for (let from = 0; from < page.length;) {
    const { fieldsData, rows } = page[from]!;
    let to = from;
    while (to < page.length && page[to]!.fieldsData === fieldsData) to++;
    found.push({ fieldsData, rows, keep: Uint32Array.from(page.slice(from, to), ({ row }) => row) });
    from = to;
  }
  return found;
}

function asked(bytes: Uint8Array, rows: number, names: readonly string[] | undefined): boolean {
  return names === undefined || names.includes(decodeFieldData(bytes, rows).name);
}

function countIn({ partitions }: ExactCollection, partition: string | undefined): bigint {
  let sum = 0;
  for (const [name, rows] of partitions) if (partition === undefined || name === partition) sum += rows.size;
  return BigInt(sum);
}
