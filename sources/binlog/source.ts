/** The binlog files of a running Milvus, in a bucket or in a folder. */
import { TidemarkError } from "../../pipeline/errors.ts";
import type { BinlogSource, LogFile, ObjectStore } from "../../pipeline/model/mod.ts";
import {
  bytesSource,
  joinKey,
  objectSource,
  openObjectStore,
  type OpenStoreOptions,
  type TokenBucket,
  withBandwidth,
} from "../../stores/mod.ts";
import { readExtremes } from "./extremes.ts";
import { fileError } from "./damage.ts";
import { readDeltaFile } from "./delta.ts";
import { createGcPauser, type GcPauser } from "./gc.ts";
import { verifyFiles } from "./lister.ts";
import { parseLogPath, segmentIdIn } from "./path.ts";
import { checkRoot } from "./root_check.ts";
import { readSegment, type SegmentReadOptions } from "./segment.ts";
import type { BinlogConfig } from "./spec.ts";

/** Delta files up to this size are fetched whole, larger ones by ranges. */
const WHOLE_DELTA_BYTES = 32 * 1024 ** 2;

export interface BinlogSourceOptions {
  readonly store: ObjectStore;
  /** Key prefix of `insert_log/` and `delta_log/`; empty where the store is the root itself. */
  readonly root: string;
  readonly gc?: GcPauser;
  readonly reading?: SegmentReadOptions;
}

/** Opens the store of a checked config. Throws `config` for a secret's file that cannot be read. */
export async function openBinlogSource(
  config: BinlogConfig,
  options: OpenStoreOptions & {
    readonly reading?: SegmentReadOptions;
    readonly onGcTrouble?: (error: TidemarkError) => void;
    /** Shared limit of what is read. */
    readonly bandwidth?: TokenBucket;
  } = {},
): Promise<BinlogSource> {
  const { gc, ...rest } = config;
  let root = "";
  let store: ObjectStore;
  if (rest.type !== "file") {
    const { root_path, ...bucket } = rest;
    root = joinKey(root_path);
    store = await openObjectStore({ ...bucket, prefix: "" }, options);
  } else {
    store = await openObjectStore({ ...rest, prefix: "" }, options);
  }
  if (options.bandwidth !== undefined) store = withBandwidth(store, options.bandwidth);
  const pauser = gc &&
    createGcPauser({
      address: gc.management_address,
      pauseSecs: gc.pause_secs,
      ...(options.onGcTrouble === undefined ? {} : { onRenewalFailed: options.onGcTrouble }),
    });
  return createBinlogSource({
    store,
    root,
    ...(pauser === undefined ? {} : { gc: pauser }),
    ...(options.reading === undefined ? {} : { reading: options.reading }),
  });
}

/** The source over an open store, which it closes in the end. */
export function createBinlogSource(options: BinlogSourceOptions): BinlogSource {
  const { store, root, gc } = options;
  const keyOf = (path: string): string => root === "" ? path : `${root}/${path}`;
  const pathOf = (key: string): string => root === "" ? key : key.slice(root.length + 1);
  const object = (file: LogFile) => ({ store, key: keyOf(file.path) });

  return {
    verify: (collectionId, segments, signal, only) =>
      verifyFiles({ store, keyOf, pathOf }, collectionId, segments, only, signal),
    rows: (segment, schema, fieldIds, signal) =>
      readSegment(segment, schema, fieldIds, object, options.reading, signal),
    async *deletes(file, signal) {
      const { partitionId, what } = deltaPlace(file.path);
      try {
        const key = keyOf(file.path);
        const size = file.size > BigInt(WHOLE_DELTA_BYTES) ? (await store.head(key, signal))?.size : undefined;
        const source = size !== undefined && size > BigInt(WHOLE_DELTA_BYTES)
          ? objectSource(store, key, Number(size), { signal })
          : bytesSource(await store.get(key, undefined, signal));
        yield* readDeltaFile(source, what, partitionId, signal);
      } catch (thrown) {
        throw fileError(thrown, what);
      }
    },
    async *deletesIn(bytes, path, signal) {
      const { partitionId, what } = deltaPlace(path);
      try {
        yield* readDeltaFile(bytesSource(bytes), what, partitionId, signal);
      } catch (thrown) {
        throw fileError(thrown, what);
      }
    },
    extremes: (segment, fieldId, signal) => readExtremes(segment, fieldId, object, signal),
    object,
    async check(signal) {
      const lines = [await checkRoot(store, root, signal)];
      if (gc !== undefined) lines.push(await gc.check(signal));
      return lines;
    },
    async pauseGc(signal) {
      return gc === undefined ? { async [Symbol.asyncDispose]() {} } : await gc.pause(signal);
    },
    close: () => store.close(),
  };
}

function deltaPlace(path: string): { readonly partitionId: bigint; readonly what: string } {
  const parsed = parseLogPath(path);
  if (parsed?.kind !== "delta") throw new TidemarkError("unexpected", `${path} is not the path of a delta log`);
  return { partitionId: parsed.partitionId, what: `${path} (segment ${segmentIdIn(path)})` };
}
