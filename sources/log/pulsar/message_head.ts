/** The metadata of a message as its producer wrote it, read by hand: as classes it costs more than all else of a small one. */
import { CompressionType } from "../../../pipeline/proto/gen/pulsar_api_pb.ts";
import { BYTES, VARINT, WireReader } from "../wire.ts";

/** MessageMetadata of Pulsar's API, as far as it says how to read the payload or that it cannot be. */
export interface MessageHead {
  readonly producerName: string;
  readonly sequenceId: bigint;
  /** Unix ms. */
  readonly publishTime: bigint;
  readonly properties: readonly (readonly [key: string, value: Uint8Array])[];
  readonly compression: CompressionType;
  readonly uncompressedSize: number;
  /** Undefined: no batch. A batch of one is one, too. */
  readonly batch: number | undefined;
  readonly nullValue: boolean;
  /** Other than 0: a broker wrote it for itself. */
  readonly markerType: number;
  readonly isEncrypted: boolean;
  readonly chunks: number;
  readonly isOfTransaction: boolean;
}

const NONE: MessageHead["properties"] = [];

/** Throws `WireError`. */
export function readMessageHead(bytes: Uint8Array): MessageHead {
  let producerName = "";
  let [sequenceId, publishTime] = [0n, 0n];
  let properties: [string, Uint8Array][] | undefined;
  let compression = CompressionType.NONE;
  let uncompressedSize = 0;
  let batch: number | undefined;
  let [markerType, chunks] = [0, 0];
  let [nullValue, isEncrypted, isOfTransaction] = [false, false, false];
  const reader = new WireReader(bytes);
  for (let tag = reader.tag(); tag !== 0; tag = reader.tag()) {
    switch (tag) {
      case 1 << 3 | BYTES:
        producerName = reader.text();
        break;
      case 2 << 3 | VARINT:
        sequenceId = reader.uint64();
        break;
      case 3 << 3 | VARINT:
        publishTime = reader.uint64();
        break;
      case 4 << 3 | BYTES:
        (properties ??= []).push(readKeyValue(reader.message()));
        break;
      case 8 << 3 | VARINT:
        compression = reader.uint32();
        break;
      case 9 << 3 | VARINT:
        uncompressedSize = reader.uint32();
        break;
      case 11 << 3 | VARINT:
        batch = reader.uint32() | 0;
        break;
      case 13 << 3 | BYTES:
        reader.skip(tag);
        isEncrypted = true;
        break;
      case 20 << 3 | VARINT:
        markerType = reader.uint32() | 0;
        break;
      case 22 << 3 | VARINT:
        reader.skip(tag);
        isOfTransaction = true;
        break;
      case 25 << 3 | VARINT:
        nullValue = reader.uint32() !== 0;
        break;
      case 27 << 3 | VARINT:
        chunks = reader.uint32() | 0;
        break;
      default:
        reader.skip(tag);
    }
  }
  return {
    producerName,
    sequenceId,
    publishTime,
    properties: properties ?? NONE,
    compression,
    uncompressedSize,
    batch,
    nullValue,
    markerType,
    isEncrypted,
    chunks,
    isOfTransaction,
  };
}

/** Values of their own, which do not keep what came with them in memory. */
function readKeyValue(reader: WireReader): [string, Uint8Array] {
  let [key, value]: [string, Uint8Array] = ["", new Uint8Array(0)];
  for (let tag = reader.tag(); tag !== 0; tag = reader.tag()) {
    if (tag === (1 << 3 | BYTES)) key = reader.text();
    else if (tag === (2 << 3 | BYTES)) value = reader.view().slice();
    else reader.skip(tag);
  }
  return [key, value];
}
