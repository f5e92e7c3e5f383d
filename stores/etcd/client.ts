/** A client of an etcd cluster: reads, writes, transactions, leases, watches; bigint revisions, errors in Tidemark's words. */
import { Buffer } from "node:buffer";
import { TidemarkError } from "../../pipeline/errors.ts";
import { etcdFault, isStaleToken, wasNeverSent } from "./fault.ts";
import { type EtcdKv, kvOf, prefixEnd } from "./kv.ts";
import { EtcdLease } from "./lease.ts";
import { rest } from "../../pipeline/pause.ts";
import { throwIfAborted } from "./aborted.ts";
import { type EtcdWatchBatch, watchEtcd } from "./watch.ts";
import {
  type EtcdEndpoint,
  type EtcdService,
  WireError,
  type WireRange,
  type WireStatus,
  type WireStream,
  type WireTxn,
} from "./wire.ts";

export interface EtcdClientOptions {
  readonly username?: string | undefined;
  /** A function is asked at every login. */
  readonly password?: string | (() => Promise<string>) | undefined;
  /** Of one call, connecting included. Default 5000. */
  readonly timeoutMs?: number | undefined;
  /** Keys per page of {@link EtcdClient.range}. Default 1000. */
  readonly pageSize?: number | undefined;
  /** How often a read goes round all endpoints before it fails. Default 3. */
  readonly rounds?: number | undefined;
  /** Once etcd has answered, reads are repeated until their signal fires, whatever `rounds` says. Default false. */
  readonly persistent?: boolean | undefined;
  /** Told once that etcd stays without an answer and why, and once (undefined) that it answers again. */
  readonly onState?: ((error: TidemarkError | undefined) => void) | undefined;
  /** [0, 1), for the jitter of waits. */
  readonly random?: (() => number) | undefined;
  /** Told when etcd does not answer and the client waits before it tries again. */
  readonly onRetry?: ((error: TidemarkError, delayMs: number) => void) | undefined;
}

export interface EtcdPage {
  /** The revision at which the whole range is read; the same in all pages. */
  readonly revision: bigint;
  /** Decimal. */
  readonly clusterId: string;
  /** Decimal. Rises with each election; a cluster that runs on without one keeps it. */
  readonly raftTerm: string;
  readonly kvs: readonly EtcdKv[];
  /** How many keys there are below the prefix from this page's first on, also those that `changedAfter` leaves out. */
  readonly count: bigint;
  /** Another page follows. */
  readonly more: boolean;
}

export interface RangeOptions {
  /** Read at this revision; default: the newest at the first page. */
  readonly revision?: bigint;
  /** Begin at this key instead of the first below the prefix. */
  readonly from?: string;
  /** At most so many keys in all. */
  readonly limit?: number;
  /** Values come back empty. */
  readonly keysOnly?: boolean;
  /** Only keys that were last written after this revision. The server looks at all of them for each page. */
  readonly changedAfter?: bigint;
}

/** A condition on one key; all that are given must hold. A key that does not exist has createRevision and modRevision 0. */
export interface EtcdGuard {
  readonly key: string;
  readonly createRevision?: bigint;
  readonly modRevision?: bigint;
  readonly value?: string | Uint8Array;
}

/** Without a value the key is deleted. */
export interface EtcdWrite {
  readonly key: string;
  readonly value?: string | Uint8Array;
  /** The key goes when this lease ends. */
  readonly leaseId?: bigint;
}

export interface EtcdTxnResult {
  readonly done: boolean;
  readonly revision: bigint;
  /** When not done: what the guarded keys hold, in the order of the guards. */
  readonly found: readonly (EtcdKv | undefined)[];
}

export interface EtcdStatus {
  readonly endpoint: string;
  readonly version: string;
  readonly revision: bigint;
  /** Decimal. */
  readonly clusterId: string;
  readonly dbSize: bigint;
  readonly hasLeader: boolean;
}

const BASE_DELAY_MS = 100;
const MAX_DELAY_MS = 5_000;

/**
 * Calls go to one endpoint until it does not answer, then to the next. Reads are repeated; a write is repeated only where
 * it certainly was not sent. Errors: `unreachable`, `throttled`, `authentication`, `position_lost`, `refused`, `aborted`.
 */
export class EtcdClient {
  readonly #endpoints: readonly EtcdEndpoint[];
  readonly #options: EtcdClientOptions;
  readonly #timeoutMs: number;
  readonly #closing = new AbortController();
  #current = 0;
  #proven = false;
  #down = false;
  #token: Promise<string | undefined> | undefined;

  /** Use `connectEtcd`. */
  constructor(endpoints: readonly EtcdEndpoint[], options: EtcdClientOptions) {
    this.#endpoints = endpoints;
    this.#options = options;
    this.#timeoutMs = options.timeoutMs ?? 5_000;
  }

  /** The endpoint in use, `host:port`. */
  get endpoint(): string {
    return this.#endpoints[this.#current]!.address;
  }

  /** Undefined if there is no such key. */
  async get(key: string, signal?: AbortSignal): Promise<EtcdKv | undefined> {
    const answer = await this.#read<WireRange>("KV", "range", { key: Buffer.from(key) }, `reading ${key}`, signal);
    return answer.kvs[0] === undefined ? undefined : kvOf(answer.kvs[0]);
  }

  /**
   * All keys that begin with `prefix` (empty: all keys), in key order, page after page, all at one revision.
   * There is at least one page, empty where there are no keys. Throws `position_lost` when that revision is compacted.
   */
  async *range(prefix: string, options: RangeOptions = {}, signal?: AbortSignal): AsyncGenerator<EtcdPage> {
    const end = prefixEnd(prefix);
    const pageSize = this.#options.pageSize ?? 1_000;
    const start = options.from !== undefined && options.from > prefix ? options.from : prefix;
    let key = start === "" ? Buffer.from([0]) : Buffer.from(start);
    let revision = options.revision;
    let left = options.limit ?? Number.POSITIVE_INFINITY;
    while (true) {
      const answer: WireRange = await this.#read(
        "KV",
        "range",
        {
          key,
          range_end: end,
          limit: Math.min(left, pageSize),
          keys_only: options.keysOnly ?? false,
          ...(revision === undefined ? {} : { revision: revision.toString() }),
          ...(options.changedAfter === undefined ? {} : { min_mod_revision: (options.changedAfter + 1n).toString() }),
        },
        `reading ${prefix === "" ? "all keys" : prefix}`,
        signal,
      );
      revision ??= BigInt(answer.header.revision);
      yield {
        revision,
        clusterId: answer.header.cluster_id,
        raftTerm: answer.header.raft_term,
        kvs: answer.kvs.map(kvOf),
        count: BigInt(answer.count),
        more: answer.more,
      };
      left -= answer.kvs.length;
      const last = answer.kvs.at(-1);
      if (!answer.more || last === undefined || left <= 0) return;
      key = Buffer.concat([last.key, Buffer.from([0])]);
    }
  }

  /** Returns the revision of the write. */
  async put(key: string, value: string | Uint8Array, leaseId?: bigint, signal?: AbortSignal): Promise<bigint> {
    const { revision } = await this.transact(
      [],
      [{ key, value, ...(leaseId === undefined ? {} : { leaseId }) }],
      signal,
    );
    return revision;
  }

  /** Deleting what is not there is no error. */
  async delete(key: string, signal?: AbortSignal): Promise<void> {
    await this.transact([], [{ key }], signal);
  }

  /** Writes `value` only if the key was last written at `modRevision` (0: only if it does not exist). */
  compareAndSet(
    key: string,
    modRevision: bigint,
    value: string | Uint8Array,
    leaseId?: bigint,
    signal?: AbortSignal,
  ): Promise<EtcdTxnResult> {
    return this.transact(
      [{ key, modRevision }],
      [{ key, value, ...(leaseId === undefined ? {} : { leaseId }) }],
      signal,
    );
  }

  /**
   * Does all writes, or none if a guard does not hold. When this throws `unreachable` the writes may or may not have
   * been done: read before repeating.
   */
  async transact(
    guards: readonly EtcdGuard[],
    writes: readonly EtcdWrite[],
    signal?: AbortSignal,
  ): Promise<EtcdTxnResult> {
    const request = {
      compare: guards.flatMap(compareOf),
      success: writes.map(writeOf),
      failure: guards.map((guard) => ({ request_range: { key: Buffer.from(guard.key) } })),
    };
    const what = writes.map((write) => write.key).join(", ");
    const answer = await this.#call<WireTxn>("KV", "txn", request, `writing ${what}`, false, signal);
    return {
      done: answer.succeeded,
      revision: BigInt(answer.header.revision),
      found: answer.succeeded ? [] : answer.responses.map(({ response_range }) => {
        const kv = response_range?.kvs[0];
        return kv === undefined ? undefined : kvOf(kv);
      }),
    };
  }

  /** A lease of `ttlSecs`, kept alive until it is disposed (revoked) or `lost` fires. */
  async lease(ttlSecs: number, signal?: AbortSignal): Promise<EtcdLease> {
    // A grant that is repeated leaves a lease behind that ends by itself.
    const answer = await this.#read<{ ID: string; TTL: string }>(
      "Lease",
      "leaseGrant",
      { TTL: ttlSecs },
      "a lease",
      signal,
    );
    return new EtcdLease(BigInt(answer.ID), ttlSecs, {
      open: () => this.#open("Lease", "leaseKeepAlive", "a lease"),
      revoke: async (id) => {
        await this.#read("Lease", "leaseRevoke", { ID: id.toString() }, "a lease");
      },
    });
  }

  /**
   * Changes of keys below `prefixes` from revision `from` on (inclusive), one batch per revision, in order, none missing:
   * what one transaction wrote arrives together. Lives through outages (waits, goes on behind the last revision).
   * Throws `position_lost` when etcd has compacted `from` away or is another cluster now, and `aborted`.
   */
  watch(prefixes: readonly string[], from: bigint, signal: AbortSignal): AsyncIterable<EtcdWatchBatch> {
    return watchEtcd(
      {
        open: () => this.#open("Watch", "watch", `watching ${prefixes.join(", ")}`),
        endpoint: () => this.endpoint,
        next: () => this.#advance(),
        onRetry: (fault, delay) => {
          this.#unanswered(fault);
          this.#options.onRetry?.(fault, delay);
        },
        answered: () => this.#answered(),
        random: this.#options.random ?? Math.random,
        fault: (error) => this.#fault(error, this.endpoint, `watching ${prefixes.join(", ")}`),
      },
      prefixes,
      from,
      AbortSignal.any([signal, this.#closing.signal]),
    );
  }

  /** Of the endpoint in use. */
  async status(signal?: AbortSignal): Promise<EtcdStatus> {
    const answer = await this.#read<WireStatus>("Maintenance", "status", {}, "its status", signal);
    return {
      endpoint: this.endpoint,
      version: answer.version,
      revision: BigInt(answer.header.revision),
      clusterId: answer.header.cluster_id,
      dbSize: BigInt(answer.dbSize),
      hasLeader: answer.leader !== "0",
    };
  }

  async close(): Promise<void> {
    this.#closing.abort(new DOMException("The etcd client was closed", "AbortError"));
    await Promise.all(this.#endpoints.map((endpoint) => endpoint.close()));
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  #read<T>(service: EtcdService, method: string, request: object, context: string, signal?: AbortSignal): Promise<T> {
    return this.#call<T>(service, method, request, context, true, signal);
  }

  async #call<T>(
    service: EtcdService,
    method: string,
    request: object,
    context: string,
    repeatable: boolean,
    signal: AbortSignal | undefined,
  ): Promise<T> {
    const rounds = this.#options.rounds ?? 3;
    let tries = 0;
    let logins = 0;
    while (true) {
      throwIfAborted(signal);
      const endpoint = this.#endpoints[this.#current]!;
      try {
        const token = await this.#login(endpoint, signal);
        const answer = await endpoint.unary<T>(service, method, request, { token, timeoutMs: this.#timeoutMs, signal });
        this.#answered();
        return answer;
      } catch (thrown) {
        throwIfAborted(signal);
        if (thrown instanceof TidemarkError) throw thrown;
        const error = wireError(thrown);
        if (isStaleToken(error) && logins++ < 2) {
          this.#token = undefined;
          continue;
        }
        const fault = this.#fault(error, endpoint.address, context);
        if (!fault.retriable || !(repeatable || wasNeverSent(error))) throw fault;
        tries++;
        const patient = repeatable && this.#proven && this.#options.persistent === true;
        if (!patient && tries >= rounds * this.#endpoints.length) throw this.#nobody(fault);
        this.#advance();
        if (tries % this.#endpoints.length === 0) {
          const round = Math.min(16, tries / this.#endpoints.length);
          const ceiling = Math.min(MAX_DELAY_MS, BASE_DELAY_MS * 2 ** round);
          const delay = ceiling * (0.5 + (this.#options.random ?? Math.random)() / 2);
          if (round > 1) this.#unanswered(fault);
          this.#options.onRetry?.(fault, delay);
          await rest(delay, signal);
        }
      }
    }
  }

  #answered(): void {
    this.#proven = true;
    if (!this.#down) return;
    this.#down = false;
    this.#options.onState?.(undefined);
  }

  #unanswered(fault: TidemarkError): void {
    if (this.#down) return;
    this.#down = true;
    this.#options.onState?.(fault);
  }

  /** Opens a stream on the endpoint in use; the failure shows when it is read. */
  async #open<Request, Response>(
    service: EtcdService,
    method: string,
    _context: string,
  ): Promise<WireStream<Request, Response>> {
    const endpoint = this.#endpoints[this.#current]!;
    const token = await this.#login(endpoint, undefined);
    return await endpoint.stream<Request, Response>(service, method, { token });
  }

  /** A token is good on every member of the cluster. */
  #login(endpoint: EtcdEndpoint, signal: AbortSignal | undefined): Promise<string | undefined> {
    const { username: name } = this.#options;
    if (name === undefined) return Promise.resolve(undefined);
    if (this.#token === undefined) {
      const login = this.#password().then((password) =>
        endpoint.unary<{ token: string }>("Auth", "authenticate", { name, password }, {
          token: undefined,
          timeoutMs: this.#timeoutMs,
          signal,
        })
      ).then((answer) => answer.token);
      login.catch(() => {
        if (this.#token === login) this.#token = undefined;
      });
      this.#token = login;
    }
    return this.#token;
  }

  /** One that comes from a file is read at every login: it may have been rotated. */
  async #password(): Promise<string> {
    const { password = "" } = this.#options;
    return typeof password === "string" ? password : await password();
  }

  #fault(thrown: unknown, address: string, context: string): TidemarkError {
    if (thrown instanceof TidemarkError) return thrown;
    const error = wireError(thrown);
    if (isStaleToken(error)) this.#token = undefined;
    return etcdFault(error, address, this.#timeoutMs, context);
  }

  #advance(): void {
    this.#current = (this.#current + 1) % this.#endpoints.length;
  }

  #nobody(last: TidemarkError): TidemarkError {
    if (this.#endpoints.length === 1) return last;
    const all = this.#endpoints.map((endpoint) => endpoint.address).join(", ");
    return new TidemarkError(last.code, `None of the etcd endpoints ${all} answers; the last one: ${last.message}`, {
      ...(last.hint === undefined ? {} : { hint: last.hint }),
      cause: last,
    });
  }
}

function wireError(thrown: unknown): WireError {
  return thrown instanceof WireError
    ? thrown
    : new WireError(2, thrown instanceof Error ? thrown.message : String(thrown));
}

function compareOf(guard: EtcdGuard): object[] {
  const key = Buffer.from(guard.key);
  const compares: object[] = [];
  if (guard.createRevision !== undefined) {
    compares.push({ key, result: "Equal", target: "Create", create_revision: guard.createRevision.toString() });
  }
  if (guard.modRevision !== undefined) {
    compares.push({ key, result: "Equal", target: "Mod", mod_revision: guard.modRevision.toString() });
  }
  if (guard.value !== undefined) {
    compares.push({ key, result: "Equal", target: "Value", value: Buffer.from(guard.value as Uint8Array) });
  }
  return compares;
}

function writeOf(write: EtcdWrite): object {
  const key = Buffer.from(write.key);
  if (write.value === undefined) return { request_delete_range: { key } };
  const value = Buffer.from(write.value as Uint8Array);
  return { request_put: { key, value, lease: (write.leaseId ?? 0n).toString() } };
}
