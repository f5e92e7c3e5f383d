/**
 * The answer to a fetch, versions 4 to 17, with the record batches left as the bytes they are: the client's own reader would
 * decompress and take apart every record before anybody could say that it is not wanted.
 */
import { ByteCursor, type Pieces } from "../byte_cursor.ts";

export interface FetchedPartition {
  readonly partitionIndex: number;
  /** 0: none. */
  readonly errorCode: number;
  readonly highWatermark: bigint;
  readonly lastStableOffset: bigint;
  readonly logStartOffset: bigint;
  readonly preferredReadReplica: number;
  /** Whole batches one after the other; the last may be cut off. */
  readonly records: Pieces;
}

export interface FetchedTopic {
  /** Name of the topic before version 13. */
  readonly topicId: string;
  readonly partitions: readonly FetchedPartition[];
}

export interface FetchAnswer {
  readonly throttleTimeMs: number;
  readonly errorCode: number;
  readonly sessionId: number;
  readonly responses: readonly FetchedTopic[];
}

/** First version with an error and a session, with a preferred replica, with compact lengths and tags, with ids. */
const SESSIONS = 7;
const REPLICAS = 11;
const COMPACT = 12;
const IDS = 13;
const LOG_START = 5;

const utf8 = new TextDecoder();

/** `bytes`: what follows the response's header. Throws RangeError where they end too early. */
export function parseFetchResponse(bytes: Uint8Array | Pieces, version: number): FetchAnswer {
  const cursor = new ByteCursor(bytes);
  const compact = version >= COMPACT;
  const throttleTimeMs = cursor.int32();
  const errorCode = version >= SESSIONS ? cursor.int16() : 0;
  const sessionId = version >= SESSIONS ? cursor.int32() : 0;
  const responses = list(cursor, compact, (): FetchedTopic => {
    const topicId = version >= IDS
      ? uuid(cursor.view(16))
      : utf8.decode(cursor.view(compact ? cursor.unsigned() - 1 : cursor.int16()));
    return { topicId, partitions: list(cursor, compact, () => partition(cursor, version)) };
  });
  return { throttleTimeMs, errorCode, sessionId, responses };
}

function partition(cursor: ByteCursor, version: number): FetchedPartition {
  const compact = version >= COMPACT;
  const head = {
    partitionIndex: cursor.int32(),
    errorCode: cursor.int16(),
    highWatermark: cursor.int64(),
    lastStableOffset: cursor.int64(),
    logStartOffset: version >= LOG_START ? cursor.int64() : -1n,
  };
  // Aborted transactions: producer and offset. Milvus writes none.
  list(cursor, compact, () => cursor.view(16));
  const preferredReadReplica = version >= REPLICAS ? cursor.int32() : -1;
  const length = compact ? cursor.unsigned() - 1 : cursor.int32();
  return { ...head, preferredReadReplica, records: cursor.pieces(Math.max(0, length)) };
}

/** Items, each with its tags behind it where lengths are compact. A list that is null is empty. */
function list<T>(cursor: ByteCursor, compact: boolean, item: () => T): T[] {
  const count = compact ? cursor.unsigned() - 1 : cursor.int32();
  const items: T[] = [];
  for (let i = 0; i < count; i++) {
    items.push(item());
    if (compact) skipTags(cursor);
  }
  return items;
}

function skipTags(cursor: ByteCursor): void {
  for (let count = cursor.unsigned(); count > 0; count--) {
    cursor.unsigned();
    cursor.view(cursor.unsigned());
  }
}

function uuid(bytes: Uint8Array): string {
  return bytes.toHex().replace(/^(.{8})(.{4})(.{4})(.{4})/, "$1-$2-$3-$4-");
}
