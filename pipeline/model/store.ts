/** Stores: objects (S3, folder) and the run's own state (file, etcd). Each has one conformance suite. */

export interface ObjectInfo {
  readonly key: string;
  readonly size: bigint;
  /** As the store gives it, without quotes; empty where there is none. */
  readonly etag: string;
  readonly modifiedMs: number;
}

export interface PutOptions {
  /** Fail with `refused` if the key exists. */
  readonly ifAbsent?: boolean;
  readonly contentType?: string;
  /** Of a body that is no stream, hexadecimal, where the caller knows it: a store that sends it along need not make it again. */
  readonly sha256?: string;
}

/** Keys have no leading slash and use `/`. Errors are TidemarkErrors: `not_found`, `authentication`, `unreachable`, `throttled`, `refused`. */
export interface ObjectStore {
  /** For people and for "same endpoint" comparisons: `s3://bucket@endpoint` or `file:///path`. */
  readonly location: string;
  /** Undefined if there is no such object. */
  head(key: string, signal?: AbortSignal): Promise<ObjectInfo | undefined>;
  /** The bytes [start, end) of an object, whole without a range. Throws `not_found`. */
  get(key: string, range?: { start: number; end: number }, signal?: AbortSignal): Promise<Uint8Array>;
  /** Streams an object; memory stays bounded. */
  stream(key: string, signal?: AbortSignal): AsyncIterable<Uint8Array>;
  /** Atomic: readers see all of it or nothing. A stream of unknown length is written with multipart. */
  put(
    key: string,
    body: Uint8Array | AsyncIterable<Uint8Array>,
    options?: PutOptions,
    signal?: AbortSignal,
  ): Promise<ObjectInfo>;
  /**
   * Server-side copy from another store; undefined if these two stores cannot do it (the caller then streams). Throws `not_found`.
   * `etag`: of the copy as the store says it, empty where it says none; it need not be the source's (S3 copies in one part what was
   * uploaded in several).
   * `size`: of the source object where the caller knows it, which spares the store to ask.
   */
  copyFrom(
    source: ObjectStore,
    sourceKey: string,
    key: string,
    signal?: AbortSignal,
    size?: bigint,
  ): Promise<{ readonly etag: string } | undefined>;
  /** All objects below `prefix`, in key order; `prefix` should end in `/`. */
  list(prefix: string, signal?: AbortSignal): AsyncIterable<ObjectInfo>;
  /** Names of the "folders" directly below `prefix` (ends in `/`), without slashes. */
  folders(prefix: string, signal?: AbortSignal): Promise<string[]>;
  /** Deleting what is not there is no error. */
  delete(keys: readonly string[], signal?: AbortSignal): Promise<void>;
  close(): Promise<void>;
}

/** Who holds the lease, for the error of a second run. */
export interface LeaseHolder {
  readonly host: string;
  readonly pid: number;
  readonly since: string;
}

/** The state of one pipeline: one JSON document, one writer. */
export interface StateStore {
  readonly location: string;
  /** Takes the single-writer lease and keeps it until released. Throws `locked` naming the holder. `lost` fires if it is lost. */
  lock(signal: AbortSignal): Promise<{ readonly lost: AbortSignal } & AsyncDisposable>;
  /** The document's text, undefined if there is none yet. Needs no lease. */
  read(signal?: AbortSignal): Promise<string | undefined>;
  /** Replaces the document atomically and durably. Only under the lease; throws `locked` when it was lost. */
  write(text: string, signal?: AbortSignal): Promise<void>;
  /** Removes the document: the next run begins anew. Only under the lease, as {@link StateStore.write}. */
  remove(signal?: AbortSignal): Promise<void>;
  close(): Promise<void>;
}
