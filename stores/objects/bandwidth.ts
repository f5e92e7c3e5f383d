/** A store whose reads and writes together stay below a rate: a token bucket that holds at most one second's worth. */
import { pause } from "../../pipeline/pause.ts";
import type { ObjectStore } from "../../pipeline/model/mod.ts";
import type { DecoratedStore } from "./undecorated.ts";

export interface TokenBucket {
  /** Resolves when `bytes` more may pass. Callers are served in order. */
  take(bytes: number, signal?: AbortSignal): Promise<void>;
}

export interface TokenBucketOptions {
  /** Monotonic clock, ms. Default `performance.now`. */
  now?: () => number;
  sleep?: (ms: number, signal?: AbortSignal) => Promise<void>;
}

/**
 * `bytesPerSecond` must be above 0. A request larger than the bucket goes into debt, which later ones wait for. Share one
 * bucket between stores to limit their sum.
 */
export function createTokenBucket(bytesPerSecond: number, options: TokenBucketOptions = {}): TokenBucket {
  const { now = () => performance.now(), sleep = pause } = options;
  let tokens = bytesPerSecond;
  let filledAt = now();
  let turn: Promise<unknown> = Promise.resolve();

  const wait = async (bytes: number, signal: AbortSignal | undefined): Promise<void> => {
    signal?.throwIfAborted();
    const time = now();
    tokens = Math.min(bytesPerSecond, tokens + ((time - filledAt) / 1000) * bytesPerSecond);
    filledAt = time;
    tokens -= bytes;
    if (tokens < 0) await sleep((-tokens / bytesPerSecond) * 1000, signal);
  };
  return {
    take(bytes, signal) {
      const mine = turn.then(() => wait(bytes, signal));
      turn = mine.catch(() => {});
      return mine;
    },
  };
}

/** Server-side copies are not counted: their bytes do not pass here. */
export function withBandwidth(inner: ObjectStore, bucket: TokenBucket): DecoratedStore {
  async function* metered(stream: AsyncIterable<Uint8Array>, signal?: AbortSignal) {
    for await (const chunk of stream) {
      await bucket.take(chunk.length, signal);
      yield chunk;
    }
  }
  return {
    inner,
    location: inner.location,
    head: (key, signal) => inner.head(key, signal),
    async get(key, range, signal) {
      const bytes = await inner.get(key, range, signal);
      await bucket.take(bytes.length, signal);
      return bytes;
    },
    stream: (key, signal) => metered(inner.stream(key, signal), signal),
    async put(key, body, options, signal) {
      if (!(body instanceof Uint8Array)) return await inner.put(key, metered(body, signal), options, signal);
      await bucket.take(body.length, signal);
      return await inner.put(key, body, options, signal);
    },
    copyFrom: (source, sourceKey, key, signal, size) => inner.copyFrom(source, sourceKey, key, signal, size),
    list: (prefix, signal) => inner.list(prefix, signal),
    folders: (prefix, signal) => inner.folders(prefix, signal),
    delete: (keys, signal) => inner.delete(keys, signal),
    close: () => inner.close(),
  };
}
