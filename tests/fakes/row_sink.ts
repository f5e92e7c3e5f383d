/** A target in memory for collections of a {@link FakeSource}, that can be made to stand still or to fail. */
import { decodeFieldData } from "../../pipeline/columns/mod.ts";
import { TidemarkError } from "../../pipeline/errors.ts";
import { abortable } from "../../pipeline/abortable.ts";
import type { DdlOutcome, RowRefusal, RowSink, TargetName } from "../../pipeline/model/mod.ts";
import { meets } from "./expression.ts";
import { int64Column } from "./int64_column.ts";

/** Rows of a page that is read. */
const PAGE = 3;

export class FakeRowSink implements RowSink {
  readonly kind = "rows";
  readonly bulk = undefined;
  readonly rows = new Map<string, Map<bigint, bigint>>();
  /** Requests of the tail. */
  writes = 0;
  /** Awaited before databases are looked at, which a base begins with. */
  beforeBase: Promise<void> = Promise.resolve();
  /** Awaited before each write. */
  beforeWrite: Promise<void> = Promise.resolve();
  /** Why it does not take a row; undefined: it does. */
  refuses: (key: bigint, value: bigint) => string | undefined = () => undefined;
  /** Why it does not delete a key; undefined: it does. */
  refusesDelete: (key: bigint) => string | undefined = () => undefined;
  /** Why it does not make the partition of a collection; undefined: it does. */
  refusesPartition: (collection: string) => string | undefined = () => undefined;
  readonly #lacking = new Set<string>();
  /** Thrown by each write while it is set. */
  fault: Error | undefined;
  /** Nobody asks it for anything any more: set when its run was killed. */
  gone = false;
  readonly #ids = new WeakMap<Map<bigint, bigint>, string>();
  #made = 0;

  constructor(readonly name: string) {}

  async reconcileDatabases(...[, , , , signal]: Parameters<RowSink["reconcileDatabases"]>): Promise<DdlOutcome[]> {
    await abortable(this.beforeBase, signal);
    return [];
  }

  async reconcile(...[{ source, target }, previous, , gate]: Parameters<RowSink["reconcile"]>): Promise<DdlOutcome[]> {
    this.#ask();
    if (this.rows.has(target.name)) return this.#partition(target.name, source.id);
    const old = previous === undefined ? undefined : this.rows.get(previous.name);
    const kind = old === undefined ? "create_collection" : "rename_collection";
    const step = { kind, collectionId: source.id, sentence: `${kind} ${target.name}`, destructive: false } as const;
    if (await gate(step) === "skip") return [{ ...step, result: "skipped", detail: "" }];
    if (old !== undefined) this.rows.delete(previous!.name);
    this.rows.set(target.name, old ?? new Map());
    if (old === undefined) this.#lacking.add(target.name);
    return [{ ...step, result: "applied", detail: "" }, ...this.#partition(target.name, source.id)];
  }

  #partition(name: string, collectionId: bigint): DdlOutcome[] {
    if (!this.#lacking.has(name)) return [];
    const detail = this.refusesPartition(name);
    if (detail === undefined) {
      this.#lacking.delete(name);
      return [];
    }
    const partition = "_default";
    const sentence = `Create partition ${partition} of ${name}`;
    return [{
      kind: "create_partition",
      collectionId,
      sentence,
      destructive: false,
      partition,
      result: "refused",
      detail,
    }];
  }

  identity({ name }: TargetName): Promise<string | undefined> {
    this.#ask();
    const rows = this.rows.get(name);
    if (rows === undefined) return Promise.resolve(undefined);
    let id = this.#ids.get(rows);
    if (id === undefined) this.#ids.set(rows, id = `${++this.#made}`);
    return Promise.resolve(id);
  }

  state({ name }: TargetName): ReturnType<RowSink["state"]> {
    const rows = this.rows.get(name);
    return Promise.resolve({
      exists: rows !== undefined,
      rows: BigInt(rows?.size ?? 0),
      loaded: true,
      partitions: this.#lacking.has(name) ? [] : ["_default"],
    });
  }

  async write(...[{ target, rows, fieldsData, refused }, signal]: Parameters<RowSink["write"]>): Promise<void> {
    await this.#ready(signal);
    const [keys, values] = fieldsData.map((bytes) => {
      const { data } = decodeFieldData(bytes, rows);
      return data.kind === "int64" ? [...data.values] : [];
    }) as [bigint[], bigint[]];
    const there = this.#collection(target);
    if (this.#lacking.has(target.name)) throw new TidemarkError("not_found", `partition not found: ${target.name}`);
    const refusals = keys.flatMap((key, row) => {
      const reason = this.refuses(key, values[row]!);
      return reason === undefined ? [] : [{ row, reason }];
    });
    if (refusals.length > 0 && refused === undefined) throw new TidemarkError("refused", refusals[0]!.reason);
    const bad = new Set(refusals.map(({ row }) => row));
    keys.forEach((key, i) => bad.has(i) || there.set(key, values[i]!));
    if (refusals.length > 0) refused!(refusals);
  }

  async remove(...[{ target, keys, refused }, signal]: Parameters<RowSink["remove"]>): Promise<void> {
    await this.#ready(signal);
    const there = this.#collection(target);
    const refusals: RowRefusal[] = [];
    [...keys.values].forEach((key, row) => {
      const reason = this.refusesDelete(key as bigint);
      if (reason === undefined) there.delete(key as bigint);
      else refusals.push({ row, reason });
    });
    if (refusals.length === 0) return;
    if (refused === undefined) throw new TidemarkError("refused", refusals[0]!.reason);
    refused(refusals);
  }

  #collection({ name }: TargetName): Map<bigint, bigint> {
    const rows = this.rows.get(name);
    if (rows === undefined) throw new TidemarkError("not_found", `collection not found: ${name}`);
    return rows;
  }

  #ask(): void {
    if (this.gone) throw new TidemarkError("aborted", "The run is dead");
  }

  async #ready(signal: AbortSignal): Promise<void> {
    this.#ask();
    this.writes++;
    if (this.fault !== undefined) throw this.fault;
    await abortable(this.beforeWrite, signal);
    this.#ask();
  }

  dropCollection({ name }: TargetName): Promise<void> {
    this.#ask();
    this.rows.delete(name);
    return Promise.resolve();
  }

  truncate(target: TargetName): Promise<void> {
    this.#ask();
    this.#collection(target).clear();
    return Promise.resolve();
  }

  count({ name }: TargetName): Promise<bigint> {
    return Promise.resolve(BigInt(this.rows.get(name)?.size ?? 0));
  }

  readonly plan = () => Promise.resolve([]);
  readonly check = () => Promise.resolve([]);
  readonly reconcileRbac = () => Promise.resolve([]);
  readonly dropPartition = () => Promise.resolve();
  readonly flush = () => Promise.resolve();
  readonly close = () => Promise.resolve();

  /** Rows for which `where` holds, of their columns `id` and `value`, a few at a time. */
  async *read(...[{ target }, { where }, signal]: Parameters<RowSink["read"]>): ReturnType<RowSink["read"]> {
    const found = [...this.#collection(target)].filter(([id, value]) =>
      where === undefined || meets(where, { id, value })
    );
    for (let at = 0; at < found.length; at += PAGE) {
      await this.#ready(signal);
      const page = found.slice(at, at + PAGE);
      const columns = [page.map(([id]) => id), page.map(([, value]) => value)] as const;
      yield {
        rows: page.length,
        fieldsData: [int64Column(100n, "id", columns[0]), int64Column(101n, "value", columns[1])],
      };
    }
  }
}
