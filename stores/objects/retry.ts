/** A store that tries again: back-off with full jitter on what the inner store calls retriable. */
import { TidemarkError, toTidemarkError } from "../../pipeline/errors.ts";
import { leave } from "../../pipeline/leave.ts";
import type { ObjectStore } from "../../pipeline/model/mod.ts";
import { compareKeys } from "./key.ts";
import { createSlowWatch } from "./slow.ts";
import type { DecoratedStore } from "./undecorated.ts";

export interface RetryOptions {
  /** Tries in all. Default 8: with the default delays up to half a minute. */
  attempts?: number;
  /** Once the store has answered, tries go on until the signal fires, whatever `attempts` says. Default false. */
  persistent?: boolean;
  /** Longest first delay, ms; doubled with each try. Default 200. */
  baseMs?: number;
  /** Longest delay, ms. Default 15 000. */
  maxMs?: number;
  /** [0, 1). Default `Math.random`. */
  random?: () => number;
  /** Default: a timer that the signal ends. */
  sleep?: (ms: number, signal?: AbortSignal) => Promise<void>;
  /** Told of every retry, for status and log. */
  onRetry?: (error: TidemarkError, attempt: number, delayMs: number) => void;
  /**
   * Told once that something failed more than once and is tried again, or has no answer for `slowMs`, and once
   * (undefined) that nothing is so any more.
   */
  onState?: (error: TidemarkError | undefined) => void;
  /** A request, or the next bytes of a stream, without an answer for so long counts as waiting, ms. Default 5000. */
  slowMs?: number;
}

/** A stream that broke is continued with range reads of this size; as many may break at once as are read. */
const RESUME_BYTES = 4 * 1024 ** 2;

/**
 * What is used up by a try is not tried again: `put` of a stream fails at once (inside it, the client repeats single
 * parts), and its caller opens the source again. A broken `stream` continues where it stopped.
 */
export function withRetry(inner: ObjectStore, options: RetryOptions = {}): DecoratedStore {
  const { attempts = 8, baseMs = 200, maxMs = 15_000, random = Math.random, sleep = pause, onRetry } = options;

  let proven = false;
  const waiting = new Set<symbol>();
  const watch = createSlowWatch(inner.location);
  const { slowMs = 5_000 } = options;
  /** Of a request that carries a whole object, and of a copy within the server, which may be of a large one. */
  const [slowObjectMs, slowCopyMs] = [2 * slowMs, 12 * slowMs];
  const waits = (call: symbol, error: TidemarkError) => {
    if (waiting.has(call)) return;
    waiting.add(call);
    if (waiting.size === 1) options.onState?.(error);
  };
  /** Waits before the next try; throws where there is none. */
  const again = async (call: symbol, thrown: unknown, attempt: number, signal: AbortSignal | undefined) => {
    const error = toTidemarkError(thrown);
    const patient = options.persistent === true && proven;
    if (!error.retriable || (!patient && attempt >= attempts) || signal?.aborted) throw error;
    const delay = random() * Math.min(maxMs, baseMs * 2 ** Math.min(attempt - 1, 20));
    onRetry?.(error, attempt, delay);
    if (attempt > 1) waits(call, error);
    await sleep(delay, signal);
  };
  const over = (call: symbol) => {
    if (waiting.delete(call) && waiting.size === 0) options.onState?.(undefined);
  };

  const retry = async <T>(
    task: () => Promise<T>,
    signal: AbortSignal | undefined,
    what: string,
    limitMs: number = slowMs,
  ): Promise<T> => {
    const call = Symbol();
    try {
      for (let attempt = 1;; attempt++) {
        try {
          const result = await watch.during(what, limitMs, (error) => waits(call, error), task);
          proven = true;
          return result;
        } catch (thrown) {
          await again(call, thrown, attempt, signal);
        }
      }
    } finally {
      over(call);
    }
  };
  /** A listing that fails in the middle starts over behind the last key that was given out. */
  async function* list(prefix: string, signal?: AbortSignal) {
    let last: string | undefined;
    const call = Symbol();
    try {
      for (let attempt = 1;; attempt++) {
        try {
          const listing = inner.list(prefix, signal)[Symbol.asyncIterator]();
          try {
            for (;;) {
              const next = () => listing.next();
              const found = await watch.during(`list ${prefix}`, slowMs, (error) => waits(call, error), next);
              if (found.done) break;
              const info = found.value;
              if (last !== undefined && compareKeys(info.key, last) <= 0) continue;
              last = info.key;
              attempt = 1;
              over(call);
              yield info;
            }
          } finally {
            await leave(listing);
          }
          proven = true;
          return;
        } catch (thrown) {
          await again(call, thrown, attempt, signal);
        }
      }
    } finally {
      over(call);
    }
  }

  return {
    inner,
    location: inner.location,
    head: (key, signal) => retry(() => inner.head(key, signal), signal, `look for ${key}`),
    get: (key, range, signal) => retry(() => inner.get(key, range, signal), signal, `read ${key}`, slowObjectMs),
    async *stream(key, signal) {
      let sent = 0;
      const call = Symbol();
      const chunks = inner.stream(key, signal)[Symbol.asyncIterator]();
      try {
        for (;;) {
          const next = () => chunks.next();
          const found = await watch.during(`read ${key}`, slowMs, (error) => waits(call, error), next);
          over(call);
          if (found.done) return;
          sent += found.value.length;
          yield found.value;
        }
      } catch (thrown) {
        const error = toTidemarkError(thrown);
        if (!error.retriable || signal?.aborted) throw error;
        onRetry?.(error, 1, 0);
      } finally {
        over(call);
        await leave(chunks);
      }
      const info = await retry(() => inner.head(key, signal), signal, `look for ${key}`);
      if (info === undefined) {
        throw new TidemarkError("not_found", `${key} disappeared from ${inner.location} while it was read`);
      }
      const size = Number(info.size);
      while (sent < size) {
        const range = { start: sent, end: Math.min(size, sent + RESUME_BYTES) };
        const chunk = await retry(() => inner.get(key, range, signal), signal, `read ${key}`, slowObjectMs);
        if (chunk.length !== range.end - range.start) {
          throw new TidemarkError("damaged", `${key} in ${inner.location} changed while it was read`);
        }
        sent += chunk.length;
        yield chunk;
      }
    },
    put(key, body, putOptions, signal) {
      if (!(body instanceof Uint8Array)) {
        const call = Symbol();
        const fed = watch.feeding(body, `write ${key}`, slowObjectMs, (error) => waits(call, error));
        return inner.put(key, fed.body, putOptions, signal).finally(() => {
          fed.end();
          over(call);
        });
      }
      let tries = 0;
      return retry(
        async () => {
          try {
            tries++;
            return await inner.put(key, body, putOptions, signal);
          } catch (thrown) {
            // "Exists already" after a try whose answer was lost: it may be our own.
            if (tries === 1 || toTidemarkError(thrown).code !== "refused" || putOptions?.ifAbsent !== true) {
              throw thrown;
            }
            const info = await inner.head(key, signal);
            if (info?.size !== BigInt(body.length) || !equal(await inner.get(key, undefined, signal), body)) {
              throw thrown;
            }
            return info;
          }
        },
        signal,
        `write ${key}`,
        slowObjectMs,
      );
    },
    copyFrom: (source, sourceKey, key, signal, size) =>
      retry(() => inner.copyFrom(source, sourceKey, key, signal, size), signal, `copy ${sourceKey}`, slowCopyMs),
    list,
    folders: (prefix, signal) => retry(() => inner.folders(prefix, signal), signal, `list ${prefix}`),
    delete: (keys, signal) => retry(() => inner.delete(keys, signal), signal, `delete ${keys.length} objects`),
    close: () => inner.close(),
  };
}

function equal(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((byte, i) => byte === b[i]);
}

function pause(ms: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const stop = () => {
      clearTimeout(timer);
      reject(new TidemarkError("aborted", "Stopped by request", { cause: signal?.reason }));
    };
    const timer = setTimeout(() => {
      signal?.removeEventListener("abort", stop);
      resolve();
    }, ms);
    if (signal?.aborted) stop();
    else signal?.addEventListener("abort", stop, { once: true });
  });
}
