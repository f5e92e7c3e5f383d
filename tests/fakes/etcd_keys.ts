/** Keys of an etcd in memory, with revisions and watches, for what only reads them. */
import type { EtcdKv, EtcdPage, EtcdWatchBatch, RangeOptions } from "../../stores/mod.ts";
import type { WoodpeckerKeys } from "../../sources/log/mod.ts";

export class EtcdKeys implements WoodpeckerKeys {
  readonly endpoint = "memory:2379";
  readonly #keys = new Map<string, EtcdKv>();
  readonly #history: EtcdWatchBatch[] = [];
  readonly #waiting = new Set<() => void>();
  #revision = 1n;
  #held = false;

  /** One revision. */
  put(key: string, value: Uint8Array | string): void {
    const bytes = typeof value === "string" ? new TextEncoder().encode(value) : value;
    const revision = ++this.#revision;
    const before = this.#keys.get(key);
    const kv: EtcdKv = {
      key,
      value: bytes,
      createRevision: before?.createRevision ?? revision,
      modRevision: revision,
      version: (before?.version ?? 0n) + 1n,
      leaseId: 0n,
    };
    this.#keys.set(key, kv);
    this.#tell({ revision, events: [{ type: "put", kv }] });
  }

  delete(key: string): void {
    const kv = this.#keys.get(key);
    if (!this.#keys.delete(key)) return;
    const revision = ++this.#revision;
    this.#tell({
      revision,
      events: [{ type: "delete", kv: { ...kv!, value: new Uint8Array(), modRevision: revision } }],
    });
  }

  /** While held, watches are told nothing: reads are ahead of them. */
  hold(held: boolean): void {
    this.#held = held;
    this.#wake();
  }

  get(key: string): Promise<EtcdKv | undefined> {
    return Promise.resolve(this.#keys.get(key));
  }

  async *range(prefix: string, options: RangeOptions = {}): AsyncGenerator<EtcdPage> {
    const kvs = [...this.#keys.values()].filter(({ key }) => key.startsWith(prefix)).sort((a, b) =>
      a.key < b.key ? -1 : 1
    );
    yield await Promise.resolve({
      revision: this.#revision,
      clusterId: "1",
      raftTerm: "1",
      kvs: kvs.slice(0, options.limit),
      count: BigInt(kvs.length),
      more: options.limit !== undefined && kvs.length > options.limit,
    });
  }

  async *watch(prefixes: readonly string[], from: bigint, signal: AbortSignal): AsyncGenerator<EtcdWatchBatch> {
    for (let next = from;;) {
      signal.throwIfAborted();
      const batch = this.#held ? undefined : this.#history.find(({ revision }) => revision >= next);
      if (batch === undefined) {
        await this.#change(signal);
        continue;
      }
      next = batch.revision + 1n;
      const events = batch.events.filter(({ kv }) => prefixes.some((prefix) => kv.key.startsWith(prefix)));
      if (events.length > 0) yield { revision: batch.revision, events };
    }
  }

  #tell(batch: EtcdWatchBatch): void {
    this.#history.push(batch);
    this.#wake();
  }

  #wake(): void {
    for (const wake of [...this.#waiting]) wake();
  }

  #change(signal: AbortSignal): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    const done = () => {
      this.#waiting.delete(done);
      signal.removeEventListener("abort", done);
      resolve();
    };
    this.#waiting.add(done);
    signal.addEventListener("abort", done, { once: true });
    return promise;
  }
}
