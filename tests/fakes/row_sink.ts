/** A target in memory for collections of a {@link FakeSource}, that can be made to stand still or to fail. */
import { decodeFieldData } from "../../pipeline/columns/mod.ts";
import { abortable } from "../../pipeline/flow/abortable.ts";
import type { DdlOutcome, RowSink, TargetName } from "../../pipeline/model/mod.ts";

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
  /** Thrown by each write while it is set. */
  fault: Error | undefined;

  constructor(readonly name: string) {}

  async reconcileDatabases(...[, , , signal]: Parameters<RowSink["reconcileDatabases"]>): Promise<DdlOutcome[]> {
    await abortable(this.beforeBase, signal);
    return [];
  }

  reconcile(...[{ target }]: Parameters<RowSink["reconcile"]>): Promise<DdlOutcome[]> {
    if (!this.rows.has(target.name)) this.rows.set(target.name, new Map());
    return Promise.resolve([]);
  }

  state({ name }: TargetName): ReturnType<RowSink["state"]> {
    const rows = this.rows.get(name);
    return Promise.resolve({
      exists: rows !== undefined,
      rows: BigInt(rows?.size ?? 0),
      loaded: true,
      partitions: ["_default"],
    });
  }

  async write(...[{ target, rows, fieldsData }, signal]: Parameters<RowSink["write"]>): Promise<void> {
    await this.#ready(signal);
    const [keys, values] = fieldsData.map((bytes) => {
      const { data } = decodeFieldData(bytes, rows);
      return data.kind === "int64" ? [...data.values] : [];
    }) as [bigint[], bigint[]];
    keys.forEach((key, i) => this.rows.get(target.name)!.set(key, values[i]!));
  }

  async remove(...[{ target, keys }, signal]: Parameters<RowSink["remove"]>): Promise<void> {
    await this.#ready(signal);
    for (const key of keys.values) this.rows.get(target.name)!.delete(key as bigint);
  }

  async #ready(signal: AbortSignal): Promise<void> {
    this.writes++;
    if (this.fault !== undefined) throw this.fault;
    await abortable(this.beforeWrite, signal);
  }

  dropCollection({ name }: TargetName): Promise<void> {
    this.rows.delete(name);
    return Promise.resolve();
  }

  count({ name }: TargetName): Promise<bigint> {
    return Promise.resolve(BigInt(this.rows.get(name)?.size ?? 0));
  }

  readonly plan = () => Promise.resolve([]);
  readonly check = () => Promise.resolve([]);
  readonly reconcileRbac = () => Promise.resolve([]);
  readonly dropPartition = () => Promise.resolve();
  readonly truncate = () => Promise.resolve();
  readonly flush = () => Promise.resolve();
  readonly close = () => Promise.resolve();
  async *read(): AsyncGenerator<never> {}
}
