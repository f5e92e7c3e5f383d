/**
 * The state in etcd, below `<prefix>/<pipeline>/`:
 *
 *     lease          who holds it; hangs on an etcd lease
 *     head           {"format":1,"bytes":…,"chunks":[ids]}: the document is these pieces in this order
 *     data/<id>      one piece, named after its content
 *
 * Every write is a transaction that holds only while `lease` is the key that this holder created. The head is switched
 * after all pieces are there, by compare-and-set on its revision; pieces that no head names go afterwards.
 */
import { TidemarkError } from "../../pipeline/errors.ts";
import type { LeaseHolder, StateStore } from "../../pipeline/model/mod.ts";
import type { EtcdClient, EtcdGuard, EtcdKv, EtcdLease, EtcdTxnResult, EtcdWrite } from "../etcd.ts";
import { type Chunk, chunkId, chunksOf } from "./chunks.ts";
import { formatHolder, lockedError, lostError, parseHolder, thisProcess } from "./locked.ts";

export interface EtcdStateOptions {
  readonly client: EtcdClient;
  /** First part of every key, without slashes at its ends. */
  readonly prefix: string;
  readonly pipeline: string;
  /** How long the state stays locked after its holder vanished, seconds. Default 15. */
  readonly leaseSecs?: number;
  readonly holder?: LeaseHolder;
  readonly now?: () => Date;
  /** [0, 1), for the jitter of waits. */
  readonly random?: () => number;
}

interface Head {
  readonly format: 1;
  readonly bytes: number;
  readonly chunks: readonly string[];
}

interface Held {
  /** Identity of the lease key: no other holder's key has this revision. */
  readonly createRevision: bigint;
  readonly lease: EtcdLease;
  readonly lost: AbortController;
  headRevision: bigint;
  stored: Set<string>;
}

/** etcd allows 128 operations and 1.5 MB in a transaction. */
const MAX_OPERATIONS = 64;
const MAX_BYTES = 1_000_000;
const READ_ATTEMPTS = 20;

/** The store closes the client when it is closed. */
export function createEtcdStateStore(options: EtcdStateOptions): StateStore {
  const { client } = options;
  const leaseSecs = options.leaseSecs ?? 15;
  const root = `${options.prefix.replace(/^\/+|\/+$/g, "")}/${options.pipeline}`;
  const leaseKey = `${root}/lease`;
  const headKey = `${root}/head`;
  const dataPrefix = `${root}/data/`;
  const location = `etcd://${client.endpoint}/${root}`;
  const random = options.random ?? Math.random;
  let held: Held | undefined;

  async function lock(signal: AbortSignal): Promise<{ readonly lost: AbortSignal } & AsyncDisposable> {
    signal.throwIfAborted();
    if (held !== undefined) throw refusal(await client.get(leaseKey, signal));
    const lease = await client.lease(leaseSecs, signal);
    let mine: Held | undefined;
    try {
      const value = formatHolder(options.holder ?? thisProcess(options.now?.() ?? new Date()));
      const taken = await client.compareAndSet(leaseKey, 0n, value, lease.id, signal);
      if (!taken.done) throw refusal(taken.found[0]);
      mine = {
        createRevision: taken.revision,
        lease,
        lost: new AbortController(),
        headRevision: 0n,
        stored: new Set(),
      };
      held = mine;
      await takeStock(mine, signal);
    } catch (error) {
      held = undefined;
      await lease[Symbol.asyncDispose]();
      throw error;
    }
    const current = mine;
    lease.lost.addEventListener("abort", () => lose(current, `etcd was not heard for ${leaseSecs} s, or ended it`));
    return {
      lost: current.lost.signal,
      [Symbol.asyncDispose]: async () => {
        if (held === current) held = undefined;
        await lease[Symbol.asyncDispose]();
      },
    };
  }

  function refusal(found: EtcdKv | undefined): TidemarkError {
    const holder = found === undefined ? undefined : parseHolder(new TextDecoder().decode(found.value));
    return lockedError(
      location,
      holder,
      `Wait for that run to end, or stop it. If it was killed, the lock ends by itself within ${leaseSecs} s.`,
    );
  }

  function lose(current: Held, why: string): TidemarkError {
    const error = lostError(location, why);
    if (!current.lost.signal.aborted) current.lost.abort(error);
    return current.lost.signal.reason as TidemarkError;
  }

  /** What is there when the lease is taken; removes what a killed writer left. */
  async function takeStock(current: Held, signal: AbortSignal): Promise<void> {
    const head = await client.get(headKey, signal);
    current.headRevision = head?.modRevision ?? 0n;
    const named = new Set(head === undefined ? [] : parseHead(head, location).chunks);
    const orphans: EtcdWrite[] = [];
    for await (const page of client.range(dataPrefix, { keysOnly: true }, signal)) {
      for (const { key } of page.kvs) {
        const id = key.slice(dataPrefix.length);
        if (named.has(id)) current.stored.add(id);
        else orphans.push({ key });
      }
    }
    for (const batch of batches(orphans)) await fenced(current, [], batch, signal);
  }

  /** A transaction under the lease. Repeated through outages for as long as the lease lives; the writes must bear it. */
  async function fenced(
    current: Held,
    guards: readonly EtcdGuard[],
    writes: readonly EtcdWrite[],
    signal: AbortSignal | undefined,
  ): Promise<EtcdTxnResult> {
    const fence: EtcdGuard = { key: leaseKey, createRevision: current.createRevision };
    for (let attempt = 0;; attempt++) {
      if (held !== current || current.lost.signal.aborted) throw lose(current, "it was released");
      try {
        const result = await client.transact([fence, ...guards], writes, signal);
        if (result.done || result.found[0]?.createRevision === current.createRevision) return result;
        const holder = result.found[0] === undefined
          ? undefined
          : parseHolder(new TextDecoder().decode(result.found[0].value));
        throw lose(
          current,
          holder === undefined ? "its key is gone" : `${holder.host} (process ${holder.pid}) holds it now`,
        );
      } catch (error) {
        if (!(error instanceof TidemarkError) || !error.retriable) throw error;
        await wait(Math.min(5000, 100 * 2 ** attempt) * (0.5 + random() / 2), current.lost.signal, signal);
      }
    }
  }

  async function write(text: string, signal?: AbortSignal): Promise<void> {
    signal?.throwIfAborted();
    const current = held;
    if (current === undefined) throw lostError(location, "it was never taken, or was released");
    const bytes = new TextEncoder().encode(text);
    const chunks = await chunksOf(bytes);
    const fresh = new Map<string, Chunk>();
    for (const chunk of chunks) if (!current.stored.has(chunk.id)) fresh.set(chunk.id, chunk);
    for (const batch of batches([...fresh.values()].map(({ id, bytes: value }) => ({ key: dataPrefix + id, value })))) {
      await fenced(current, [], batch, signal);
    }
    for (const id of fresh.keys()) current.stored.add(id);
    const head: Head = { format: 1, bytes: bytes.length, chunks: chunks.map((chunk) => chunk.id) };
    await switchHead(current, JSON.stringify(head), signal);
    const named = new Set(head.chunks);
    const old = [...current.stored].filter((id) => !named.has(id));
    for (const batch of batches(old.map((id) => ({ key: dataPrefix + id })))) await fenced(current, [], batch, signal);
    for (const id of old) current.stored.delete(id);
  }

  async function remove(signal?: AbortSignal): Promise<void> {
    signal?.throwIfAborted();
    const current = held;
    if (current === undefined) throw lostError(location, "it was never taken, or was released");
    // The head first: without it the pieces are nobody's.
    await fenced(current, [], [{ key: headKey }], signal);
    current.headRevision = 0n;
    const pieces = [...current.stored].map((id) => ({ key: dataPrefix + id }));
    for (const batch of batches(pieces)) await fenced(current, [], batch, signal);
    current.stored.clear();
  }

  async function switchHead(current: Held, value: string, signal: AbortSignal | undefined): Promise<void> {
    const result = await fenced(current, [{ key: headKey, modRevision: current.headRevision }], [{
      key: headKey,
      value,
    }], signal);
    if (result.done) {
      current.headRevision = result.revision;
      return;
    }
    // An answer that was lost on the way: the head is ours already. Under the fence nobody else can have written it.
    const found = result.found[1];
    if (found === undefined || new TextDecoder().decode(found.value) !== value) {
      throw lose(current, "its document was changed by something that does not hold the lease");
    }
    current.headRevision = found.modRevision;
  }

  async function read(signal?: AbortSignal): Promise<string | undefined> {
    signal?.throwIfAborted();
    for (let attempt = 0; attempt < READ_ATTEMPTS; attempt++) {
      const kv = await client.get(headKey, signal);
      if (kv === undefined) return undefined;
      const head = parseHead(kv, location);
      const text = await readChunks(head, signal);
      if (text !== undefined) return text;
      // A piece is gone because the head was switched meanwhile; if it was not, something is broken.
      if ((await client.get(headKey, signal))?.modRevision === kv.modRevision) break;
    }
    throw new TidemarkError(
      "damaged",
      `The state ${location} is not whole: pieces that its head names are missing or changed`,
      {
        hint: "Remove its keys to start over with a full copy, or restore etcd from a backup.",
      },
    );
  }

  async function readChunks(head: Head, signal: AbortSignal | undefined): Promise<string | undefined> {
    const document = new Uint8Array(head.bytes);
    let at = 0;
    for (const id of head.chunks) {
      const kv = await client.get(dataPrefix + id, signal);
      if (kv === undefined || at + kv.value.length > document.length || await chunkId(kv.value) !== id) {
        return undefined;
      }
      document.set(kv.value, at);
      at += kv.value.length;
    }
    return at === document.length ? new TextDecoder().decode(document) : undefined;
  }

  return {
    location,
    lock,
    read,
    write,
    remove,
    close: async () => {
      const current = held;
      held = undefined;
      await current?.lease[Symbol.asyncDispose]();
      await client.close();
    },
  };
}

function parseHead(kv: EtcdKv, location: string): Head {
  try {
    const raw = JSON.parse(new TextDecoder().decode(kv.value)) as Partial<Head>;
    if (raw.format === 1 && Number.isSafeInteger(raw.bytes) && Array.isArray(raw.chunks)) return raw as Head;
  } catch {
    // Said below.
  }
  throw new TidemarkError("damaged", `The state ${location} has a head that this version cannot read`, {
    hint: "It was written by something else or by a newer Tidemark: choose another state.prefix.",
  });
}

function* batches(writes: readonly EtcdWrite[]): Generator<EtcdWrite[]> {
  let batch: EtcdWrite[] = [];
  let bytes = 0;
  for (const write of writes) {
    const size = write.key.length + (write.value?.length ?? 0);
    if (batch.length >= MAX_OPERATIONS || (batch.length > 0 && bytes + size > MAX_BYTES)) {
      yield batch;
      batch = [];
      bytes = 0;
    }
    batch.push(write);
    bytes += size;
  }
  if (batch.length > 0) yield batch;
}

/** Ends early when the lease is lost; throws when the caller's signal fires. */
async function wait(ms: number, lost: AbortSignal, signal: AbortSignal | undefined): Promise<void> {
  const ended = signal === undefined ? lost : AbortSignal.any([lost, signal]);
  if (!ended.aborted) {
    await new Promise<void>((resolve) => {
      const done = () => {
        clearTimeout(timer);
        ended.removeEventListener("abort", done);
        resolve();
      };
      const timer = setTimeout(done, ms);
      ended.addEventListener("abort", done, { once: true });
    });
  }
  signal?.throwIfAborted();
}
