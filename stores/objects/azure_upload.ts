/** Writing a blob: whole, or a stream in blocks. */
import { createHash } from "node:crypto";
import type { ObjectInfo, PutOptions } from "../../pipeline/model/mod.ts";
import type { BlobGetPropertiesResponse, BlockBlobClient, CpkInfo } from "./azure_client.ts";
import { azureCode } from "./azure_error.ts";
import { sendBlocks } from "./blocks.ts";
import type { UploadMemory } from "./upload_memory.ts";

/** A stream is sent in blocks of this size, so that as many as the service takes of one blob reach 781 GiB. */
const BLOCK_BYTES = 16 * 1024 ** 2;
const BLOCKS_MAX = 50_000;
/** So many and one are in memory, as far as there is memory. */
const BLOCKS_AT_ONCE = 3;
/** Metadata of a conditional write: which write it was. */
const MARK = "tidemarkwrite";
/** What the service says where a blob is there, or blocks are gone with the commit that took them. */
const TAKEN = /^(BlobAlreadyExists|ConditionNotMet|TargetConditionNotMet|InvalidBlockList)$/;

export interface AzureTarget {
  readonly key: string;
  /** One request to the blob. */
  by<T>(send: (target: BlockBlobClient, abortSignal: AbortSignal) => Promise<T>): Promise<T>;
  /** What goes with reads. */
  readonly reading: { readonly customerProvidedKey?: CpkInfo };
  /** What goes with writes. */
  readonly scope: { readonly customerProvidedKey?: CpkInfo; readonly encryptionScope?: string };
}

export interface AzureUploadLimits {
  /** Shared with other uploads. */
  readonly memory: UploadMemory;
  readonly blockBytes?: number | undefined;
  readonly blocksMax?: number | undefined;
}

/** Nobody sees anything of a stream before its end. Throws what the client throws, and `refused` for one of too many blocks. */
export async function putBlob(
  { key, by, reading, scope }: AzureTarget,
  body: Uint8Array | AsyncIterable<Uint8Array>,
  putOptions: PutOptions,
  { memory, blockBytes = BLOCK_BYTES, blocksMax = BLOCKS_MAX }: AzureUploadLimits,
  signal: AbortSignal | undefined,
): Promise<ObjectInfo> {
  const mark = crypto.randomUUID();
  const common = {
    ...scope,
    ...(putOptions.ifAbsent ? { conditions: { ifNoneMatch: "*" }, metadata: { [MARK]: mark } } : {}),
  };
  /** The client tries again by itself: what is there already may be what a try wrote whose answer was lost. */
  const unlessOwn = async <T>(
    send: (target: BlockBlobClient, abortSignal: AbortSignal) => Promise<T>,
  ): Promise<T | BlobGetPropertiesResponse> => {
    try {
      return await by(send);
    } catch (thrown) {
      if (putOptions.ifAbsent !== true || !TAKEN.test(azureCode(thrown))) throw thrown;
      const found = await by((target, abortSignal) => target.getProperties({ abortSignal, ...reading })).catch(() =>
        undefined
      );
      if (found?.metadata?.[MARK] !== mark) throw thrown;
      return found;
    }
  };
  const headers = putOptions.contentType === undefined ? {} : { blobContentType: putOptions.contentType };
  const whole = async (bytes: Uint8Array, md5 = md5Of(bytes)) => {
    const done = await unlessOwn((target, abortSignal) =>
      target.upload(bytes, bytes.length, {
        ...common,
        abortSignal,
        transactionalContentMD5: md5,
        blobHTTPHeaders: { ...headers, blobContentMD5: md5 },
      })
    );
    return infoOf(key, BigInt(bytes.length), done);
  };
  if (body instanceof Uint8Array) return await whole(body);
  // Of this upload alone: two writers of one key must not mix their blocks. What is left of a failed one the service
  // removes within a week; nobody sees it.
  const upload = crypto.randomUUID();
  const meter = createHash("md5");
  const ids: string[] = [];
  let size = 0n;
  const limits = { bytes: blockBytes, memory, atOnce: BLOCKS_AT_ONCE, most: blocksMax, signal };
  const only = await sendBlocks(body, { ...limits, digest: "md5", meter }, {
    whole: ({ bytes, digest }) => whole(bytes, digest),
    async block({ bytes, digest }, index) {
      const id = btoa(`${upload}-${String(index).padStart(6, "0")}`);
      ids.push(id);
      size += BigInt(bytes.length);
      const sum = { transactionalContentMD5: digest ?? md5Of(bytes) };
      await by((target, abortSignal) => target.stageBlock(id, bytes, bytes.length, { abortSignal, ...scope, ...sum }));
    },
  });
  if (only !== undefined) return only;
  const blobHTTPHeaders = { ...headers, blobContentMD5: new Uint8Array(meter.digest()) };
  const done = await unlessOwn((target, abortSignal) =>
    target.commitBlockList(ids, { ...common, abortSignal, blobHTTPHeaders })
  );
  return infoOf(key, size, done);
}

function md5Of(bytes: Uint8Array): Uint8Array {
  return new Uint8Array(createHash("md5").update(bytes).digest());
}

function infoOf(key: string, size: bigint, done: { etag?: string; lastModified?: Date }): ObjectInfo {
  return { key, size, etag: unquoted(done.etag), modifiedMs: done.lastModified?.getTime() ?? Date.now() };
}

export function unquoted(etag: string | undefined): string {
  return etag?.replace(/^"|"$/g, "") ?? "";
}
