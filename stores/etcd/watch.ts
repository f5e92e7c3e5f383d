/** Watching keys of etcd: one batch per revision, in order, through outages. */
import { Buffer } from "node:buffer";
import { TidemarkError } from "../../pipeline/errors.ts";
import { type EtcdKv, kvOf, prefixEnd } from "./kv.ts";
import { rest } from "../../pipeline/pause.ts";
import { throwIfAborted } from "./aborted.ts";
import type { WireStream, WireWatch } from "./wire.ts";

export interface EtcdWatchEvent {
  readonly type: "put" | "delete";
  /** Of a delete: the key, and the revision of the deletion as `modRevision`. */
  readonly kv: EtcdKv;
}

/** What one revision changed below the watched prefixes. */
export interface EtcdWatchBatch {
  readonly revision: bigint;
  readonly events: readonly EtcdWatchEvent[];
}

/** What a watch needs of its client. */
export interface WatchCalls {
  open(): Promise<WireStream<object, WireWatch>>;
  /** The endpoint in use. */
  endpoint(): string;
  /** Go on with the next endpoint. */
  next(): void;
  fault(error: unknown): TidemarkError;
  onRetry(error: TidemarkError, delayMs: number): void;
  /** Something came over the stream. */
  answered(): void;
  random(): number;
}

const BASE_DELAY_MS = 200;
const MAX_DELAY_MS = 10_000;

/** See `EtcdClient.watch`. */
export async function* watchEtcd(
  calls: WatchCalls,
  prefixes: readonly string[],
  from: bigint,
  signal: AbortSignal,
): AsyncGenerator<EtcdWatchBatch> {
  // One watch over what the prefixes have in common: etcd gives no order between two watches, so two of them would tear
  // apart what one transaction wrote.
  const common = commonPrefix(prefixes);
  let next = from;
  let clusterId: string | undefined;
  let failures = 0;
  while (true) {
    throwIfAborted(signal);
    let stream: WireStream<object, WireWatch> | undefined;
    const cancel = (): void => stream?.cancel();
    signal.addEventListener("abort", cancel, { once: true });
    try {
      stream = await calls.open();
      throwIfAborted(signal);
      stream.write({
        create_request: {
          key: common === "" ? Buffer.from([0]) : Buffer.from(common),
          range_end: prefixEnd(common),
          start_revision: next.toString(),
          progress_notify: true,
        },
      });
      for await (const response of stream) {
        throwIfAborted(signal);
        calls.answered();
        if (response.canceled) throw cancelled(response, next, calls.endpoint());
        clusterId ??= response.header.cluster_id;
        if (clusterId !== response.header.cluster_id) throw anotherCluster(calls.endpoint());
        if (response.created) continue;
        failures = 0;
        for (const batch of batchesOf(response, prefixes)) {
          next = batch.revision + 1n;
          if (batch.events.length > 0) yield batch;
        }
        // A progress notice: everything up to here was sent. Keeps an idle watch in front of compaction.
        if (response.events.length === 0 && BigInt(response.header.revision) >= next) {
          next = BigInt(response.header.revision) + 1n;
        }
      }
      throw new TidemarkError("unreachable", `etcd at ${calls.endpoint()} ended the watch`);
    } catch (thrown) {
      throwIfAborted(signal);
      const fault = calls.fault(thrown);
      if (!fault.retriable && !isTokenTrouble(thrown)) throw fault;
      failures++;
      const delay = Math.min(MAX_DELAY_MS, BASE_DELAY_MS * 2 ** Math.min(failures - 1, 10)) *
        (0.5 + calls.random() / 2);
      calls.onRetry(fault, delay);
      calls.next();
      await rest(delay, signal);
    } finally {
      signal.removeEventListener("abort", cancel);
      stream?.cancel();
    }
  }
}

/** Events of one response by revision; etcd never splits a revision over responses. */
function* batchesOf(response: WireWatch, prefixes: readonly string[]): Generator<EtcdWatchBatch> {
  let revision = 0n;
  let events: EtcdWatchEvent[] = [];
  for (const event of response.events) {
    const kv = kvOf(event.kv);
    if (kv.modRevision !== revision) {
      if (revision !== 0n) yield { revision, events };
      revision = kv.modRevision;
      events = [];
    }
    if (prefixes.some((prefix) => kv.key.startsWith(prefix))) {
      events.push({ type: event.type === "Delete" ? "delete" : "put", kv });
    }
  }
  if (revision !== 0n) yield { revision, events };
}

function cancelled(response: WireWatch, from: bigint, endpoint: string): TidemarkError {
  const compacted = BigInt(response.compact_revision);
  if (compacted > 0n) {
    return new TidemarkError(
      "position_lost",
      `etcd at ${endpoint} has compacted away revision ${from}; the oldest it still has is ${compacted}`,
      { hint: "Read the metadata again; if this comes back, raise etcd's auto-compaction-retention on the source." },
    );
  }
  if (response.cancel_reason.includes("permission denied")) {
    return new TidemarkError("authentication", `etcd at ${endpoint} denies permission to watch`, {
      hint:
        "Grant the user's role the read right on the whole root path: etcdctl role grant-permission ROLE read --prefix=true ROOT",
    });
  }
  return new TidemarkError(
    "unreachable",
    `etcd at ${endpoint} cancelled the watch: ${response.cancel_reason || "no reason given"}`,
  );
}

function anotherCluster(endpoint: string): TidemarkError {
  return new TidemarkError("position_lost", `etcd at ${endpoint} is another cluster than the one that was watched`, {
    hint: "Was etcd restored or replaced? A new base copy is needed.",
  });
}

/** The token was dropped by `fault`; the next attempt logs in again and fails for good if the login is refused. */
function isTokenTrouble(thrown: unknown): boolean {
  return thrown instanceof Error && thrown.message.includes("invalid auth token");
}

/** What all of `texts` begin with. */
export function commonPrefix(texts: readonly string[]): string {
  let common = texts[0] ?? "";
  for (const text of texts) {
    let at = 0;
    while (at < common.length && common[at] === text[at]) at++;
    common = common.slice(0, at);
  }
  return common;
}
