/** What etcd says of Woodpecker's logs, read once and kept current by one watch for all of them. */
import { abortable } from "../../../pipeline/abortable.ts";
import { TidemarkError } from "../../../pipeline/errors.ts";
import type { EtcdClient, EtcdKv } from "../../../stores/mod.ts";
import { decodeLog, decodeSegment, type LogMeta, OLD_PREFIX, parseKey, type SegmentMeta } from "./keys.ts";

/** The calls that are made: no key is ever written. */
export type WoodpeckerKeys = Pick<EtcdClient, "get" | "range" | "watch" | "endpoint">;

export interface LogView {
  readonly name: string;
  readonly id: bigint;
  /** Identity: a log that was deleted and made again has another. */
  readonly topicId: string;
  /** By number. */
  readonly segments: ReadonlyMap<bigint, SegmentMeta>;
  /** Segments whose objects are being deleted. */
  readonly cleaning: ReadonlySet<bigint>;
}

interface State {
  instance: string;
  readonly logs: Map<string, LogMeta>;
  readonly segments: Map<string, Map<bigint, SegmentMeta>>;
  /** Id of a log -> segments. */
  readonly cleaning: Map<bigint, Set<bigint>>;
}

export class WoodpeckerLogs {
  readonly #etcd: WoodpeckerKeys;
  readonly #candidates: readonly string[];
  readonly #stop = new AbortController();
  #prefix: string | undefined;
  #state: State = emptyState();
  #loading: Promise<void> | undefined;
  #watching: Promise<void> | undefined;
  #failure: unknown;
  #version = 0;
  readonly #waiting = new Set<() => void>();

  /** `candidates`: prefixes without a slash at the end, of which one has the keys. */
  constructor(etcd: WoodpeckerKeys, candidates: readonly string[]) {
    this.#etcd = etcd;
    this.#candidates = [...new Set(candidates)];
  }

  /** `metaRoot`: `etcd.rootPath`. */
  static candidates(metaRoot: string, configured: string | undefined): string[] {
    return configured === undefined ? [OLD_PREFIX, `${metaRoot}/${OLD_PREFIX}`] : [configured];
  }

  /** Throws `not_found` where no prefix has keys, `config` where both have. */
  async prefix(signal: AbortSignal): Promise<string> {
    await this.#loaded(signal);
    return this.#prefix!;
  }

  async names(signal: AbortSignal): Promise<string[]> {
    await this.#loaded(signal);
    return [...this.#state.logs.keys()].sort();
  }

  /** As it is known now. Throws `not_found`. */
  async log(name: string, signal: AbortSignal): Promise<LogView> {
    await this.#loaded(signal);
    const view = this.known(name);
    if (view !== undefined) return view;
    throw new TidemarkError("not_found", `Woodpecker has no log ${name} below ${this.#prefix} in etcd`, {
      hint: "Check sources.log.meta_prefix, and the names of the source's channels in its metadata.",
    });
  }

  /** The same without waiting; undefined for a log that is not there (any more). Throws what ended the watch. */
  known(name: string): LogView | undefined {
    if (this.#failure !== undefined) throw this.#failure;
    const log = this.#state.logs.get(name);
    if (log === undefined) return undefined;
    return {
      name,
      id: log.id,
      topicId: `${this.#state.instance}/${log.id}`,
      segments: this.#state.segments.get(name) ?? new Map(),
      cleaning: this.#state.cleaning.get(log.id) ?? new Set(),
    };
  }

  /**
   * Asks etcd itself for a segment and for the one behind it: the watch may be behind, and who says that nothing follows must
   * know. True: etcd says the same as is known here.
   */
  async isCurrent(name: string, segment: bigint, signal: AbortSignal): Promise<boolean> {
    const state = this.#state;
    let current = true;
    for (const number of [segment, segment + 1n]) {
      const key = `${this.#prefix}/logs/${name}/segments/${number}`;
      const kv = await this.#etcd.get(key, signal);
      const found = kv === undefined ? undefined : decodeSegment(kv.value, number, key);
      const known = state.segments.get(name)?.get(number);
      if (found?.state === known?.state && found?.lastEntry === known?.lastEntry) continue;
      current = false;
    }
    return current && state === this.#state;
  }

  /** Grows with every change; for {@link changed}. */
  get version(): number {
    return this.#version;
  }

  /** Resolves once there is a newer version than `seen`, or the signal fires. */
  changed(seen: number, signal: AbortSignal): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    const done = () => {
      this.#waiting.delete(done);
      signal.removeEventListener("abort", done);
      resolve();
    };
    if (this.#version !== seen || this.#failure !== undefined || signal.aborted) resolve();
    else {
      this.#waiting.add(done);
      signal.addEventListener("abort", done, { once: true });
    }
    return promise;
  }

  async close(): Promise<void> {
    this.#stop.abort(new DOMException("The log source was closed", "AbortError"));
    await this.#watching;
  }

  async #loaded(signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    if (this.#failure !== undefined) throw this.#failure;
    this.#loading ??= this.#load().then((revision) => {
      this.#watching = this.#follow(revision);
    }, (error) => {
      // A failure is not remembered: etcd may answer the next time.
      this.#loading = undefined;
      throw error;
    });
    await abortable(this.#loading, signal);
  }

  async #load(): Promise<bigint> {
    this.#prefix ??= await this.#find();
    const state = emptyState();
    let revision = 0n;
    for await (const page of this.#etcd.range(`${this.#prefix}/`, {}, this.#stop.signal)) {
      revision = page.revision;
      for (const kv of page.kvs) this.#put(state, kv);
    }
    this.#state = state;
    this.#changed();
    return revision;
  }

  /** The one with logs; where none has any yet, the one that Woodpecker was begun in. */
  async #find(): Promise<string> {
    const having = async (below: string) => {
      const found: string[] = [];
      for (const prefix of this.#candidates) {
        const keys = this.#etcd.range(`${prefix}/${below}`, { limit: 1, keysOnly: true }, this.#stop.signal);
        for await (const page of keys) if (page.kvs.length > 0) found.push(prefix);
      }
      return found;
    };
    let found = await having("logs/");
    if (found.length === 0) found = (await having("")).slice(0, 1);
    const [first, second] = found;
    if (first === undefined) {
      throw new TidemarkError(
        "not_found",
        `etcd at ${this.#etcd.endpoint} has no logs of Woodpecker below ${this.#candidates.join("/ or ")}/`,
        {
          hint: "Does the source use Woodpecker (mq.type of its milvus.yaml)? Set sources.log.meta_prefix to " +
            "<etcd.rootPath>/<woodpecker.meta.prefix> where it is another.",
        },
      );
    }
    if (second !== undefined) {
      throw new TidemarkError(
        "config",
        `etcd at ${this.#etcd.endpoint} has logs of Woodpecker below ${first}/ and below ${second}/`,
        { hint: "Two clusters share this etcd: set sources.log.meta_prefix to the one that is copied." },
      );
    }
    return first;
  }

  /** Ends only with the source, or by an error that repeating does not mend. */
  async #follow(from: bigint): Promise<void> {
    let revision = from;
    try {
      while (true) {
        try {
          for await (const batch of this.#etcd.watch([`${this.#prefix}/`], revision + 1n, this.#stop.signal)) {
            for (const { type, kv } of batch.events) {
              if (type === "put") this.#put(this.#state, kv);
              else this.#delete(this.#state, kv.key);
            }
            this.#changed();
          }
        } catch (thrown) {
          this.#stop.signal.throwIfAborted();
          // What was compacted away in between is in the state: it is read again.
          if (!(thrown instanceof TidemarkError) || thrown.code !== "position_lost") throw thrown;
          revision = await this.#load();
        }
      }
    } catch (thrown) {
      this.#failure = thrown;
      this.#changed();
    }
  }

  #changed(): void {
    this.#version++;
    for (const wake of [...this.#waiting]) wake();
  }

  #put(state: State, { key, value }: EtcdKv): void {
    const parsed = parseKey(key.slice(this.#prefix!.length + 1));
    switch (parsed?.kind) {
      case "instance":
        state.instance = new TextDecoder().decode(value);
        return;
      case "log":
        state.logs.set(parsed.log, decodeLog(value, key));
        return;
      case "segment":
        held(state.segments, parsed.log, () => new Map()).set(
          parsed.segment,
          decodeSegment(value, parsed.segment, key),
        );
        return;
      case "cleaning":
        held(state.cleaning, parsed.logId, () => new Set()).add(parsed.segment);
    }
  }

  #delete(state: State, key: string): void {
    const parsed = parseKey(key.slice(this.#prefix!.length + 1));
    switch (parsed?.kind) {
      case "log":
        state.logs.delete(parsed.log);
        return;
      case "segment":
        state.segments.get(parsed.log)?.delete(parsed.segment);
        return;
      case "cleaning":
        state.cleaning.get(parsed.logId)?.delete(parsed.segment);
    }
  }
}

function emptyState(): State {
  return { instance: "", logs: new Map(), segments: new Map(), cleaning: new Map() };
}

function held<K, V>(map: Map<K, V>, key: K, make: () => V): V {
  let value = map.get(key);
  if (value === undefined) map.set(key, value = make());
  return value;
}
