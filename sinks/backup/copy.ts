/** One object, copied whole: shared with the previous base, server-side, or streamed; always with a checksum. */
import { TidemarkError } from "../../pipeline/errors.ts";
import type { ObjectInfo, ObjectStore } from "../../pipeline/model/mod.ts";
import {
  checksumOf,
  checksumOfStream,
  createChecksum,
  linkObject,
  type ManifestObject,
  md5OfEtag,
  type TokenBucket,
} from "../../stores/mod.ts";

export interface CopyJob {
  readonly source: ObjectStore;
  readonly sourceKey: string;
  /** Below the backup's folder. */
  readonly path: string;
  /** As the source's listing says. */
  readonly info: ObjectInfo;
}

export interface CopyTarget {
  readonly store: ObjectStore;
  readonly name: string;
  /** The base before, to share files with; undefined if there is none or sharing is off. */
  readonly previous: { readonly name: string; object(path: string): ManifestObject | undefined } | undefined;
  /** For what the store copies by itself; what passes here is counted where it is read. */
  readonly bandwidth: TokenBucket | undefined;
  /** May the store copy by itself? */
  readonly serverSide: EtagTrust | undefined;
}

export interface Copied {
  readonly object: ManifestObject;
  readonly how: "shared" | "server" | "streamed";
}

/** Up to this size an object is held in memory: one read and one write, which a retry can repeat. */
const WHOLE_BYTES = 8n << 20n;

/** Throws `not_found` when the source object has gone, `damaged` when the copy is not as long as its source. */
export async function copyObject(job: CopyJob, target: CopyTarget, signal: AbortSignal): Promise<Copied> {
  const { source, sourceKey, path, info } = job;
  const key = `${target.name}/${path}`;
  const known = target.previous?.object(path);
  if (target.previous !== undefined && known !== undefined && known.size === info.size) {
    if (await linkObject(target.store, `${target.previous.name}/${path}`, target.store, key)) {
      return { object: known, how: "shared" };
    }
  }
  const { serverSide } = target;
  const done = serverSide && await target.store.copyFrom(source, sourceKey, key, signal, info.size);
  if (serverSide !== undefined && done !== undefined) {
    await target.bandwidth?.take(Number(info.size), signal);
    const sum = await serverSide.sum(target.store, { key, size: info.size, etag: done.etag }, info, signal);
    return { object: { path, size: info.size, sum }, how: "server" };
  }
  if (info.size <= WHOLE_BYTES) {
    const bytes = await source.get(sourceKey, undefined, signal);
    checkLength(BigInt(bytes.length), info);
    const sum = checksumOf(bytes);
    await target.store.put(key, bytes, { sha256: sum.slice("sha256:".length) }, signal);
    return { object: { path, size: info.size, sum }, how: "streamed" };
  }
  const body = new HashedStream(source, sourceKey, signal);
  await target.store.put(key, body, {}, signal);
  const { sum, bytes } = body.finish();
  if (bytes !== info.size) {
    await target.store.delete([key], signal);
    checkLength(bytes, info);
  }
  return { object: { path, size: bytes, sum }, how: "streamed" };
}

/**
 * Whether the ETags of a store are MD5s is learnt once, from a probe whose MD5 is known: with SSE-KMS they only look like it.
 * Where they are, a server-side copy costs one request, and the ETag that the store gives it is its checksum, also where the
 * source was uploaded in parts and its own ETag is none. Where both are MD5s they must agree. The listing at the end of the base
 * compares every size and ETag once more.
 */
export interface EtagTrust {
  /** A checksum for an object that the store copied by itself. */
  sum(
    store: ObjectStore,
    copy: Pick<ObjectInfo, "key" | "size" | "etag">,
    source: Pick<ObjectInfo, "etag">,
    signal: AbortSignal,
  ): Promise<string>;
}

/** `probeKey`: where the probe may lie for a moment. */
export function createEtagTrust(probeKey: string): EtagTrust {
  let trusted: Promise<boolean> | undefined;
  const probe = async (store: ObjectStore, signal: AbortSignal): Promise<boolean> => {
    const bytes = new TextEncoder().encode("tidemark");
    await store.put(probeKey, bytes, {}, signal);
    const info = await store.head(probeKey, signal);
    await store.delete([probeKey], signal);
    return md5OfEtag(info?.etag ?? "") === checksumOf(bytes, "md5");
  };
  return {
    async sum(store, copy, source, signal) {
      const md5 = md5OfEtag(copy.etag);
      const original = md5OfEtag(source.etag);
      if (md5 !== undefined && (original === undefined || original === md5)) {
        trusted ??= probe(store, signal);
        if (await trusted) return md5;
      }
      return await readBack(store, copy.key, copy.size, signal);
    },
  };
}

/** Reads a copy for its checksum. Throws `damaged` when it is not as long as its source. */
export async function readBack(store: ObjectStore, key: string, size: bigint, signal: AbortSignal): Promise<string> {
  const { sum, bytes } = await checksumOfStream(store.stream(key, signal), "sha256");
  checkLength(bytes, { key, size });
  return sum;
}

/** A stream that can be begun again (by a retry) and is hashed as it passes. */
class HashedStream implements AsyncIterable<Uint8Array> {
  #meter = createChecksum();

  constructor(readonly source: ObjectStore, readonly key: string, readonly signal: AbortSignal) {}

  async *[Symbol.asyncIterator](): AsyncIterator<Uint8Array> {
    const meter = createChecksum();
    this.#meter = meter;
    for await (const chunk of this.source.stream(this.key, this.signal)) {
      meter.update(chunk);
      yield chunk;
    }
  }

  finish() {
    const bytes = this.#meter.bytes;
    return { sum: this.#meter.finish(), bytes };
  }
}

function checkLength(bytes: bigint, info: Pick<ObjectInfo, "key" | "size">): void {
  if (bytes === info.size) return;
  throw new TidemarkError("damaged", `${info.key} has ${bytes} bytes, expected ${info.size}`, {
    hint: "Objects of Milvus never change: look for something else that writes into the bucket, then run again.",
    retriable: true,
  });
}
