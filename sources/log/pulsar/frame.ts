/**
 * Frames of Pulsar's binary protocol: u32 length | u32 length of the command | BaseCommand | what follows it, big-endian. Behind
 * the command MESSAGE stand its metadata and payload: 0e01 | u32 CRC-32C of the rest | u32 length | MessageMetadata | payload.
 */
import { create, fromBinary, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import { type BaseCommand, BaseCommandSchema } from "../../../pipeline/proto/gen/pulsar_api_pb.ts";
import { crc32cOfBytes } from "../crc32c.ts";
import { WireError } from "../wire.ts";
import { type MessageCommand, readMessageCommand } from "./message_command.ts";
import { type MessageHead, readMessageHead } from "./message_head.ts";

/** `rest`, a view, is what follows the command. */
export type Frame =
  | { readonly kind: "message"; readonly message: MessageCommand; readonly rest: Uint8Array }
  | { readonly kind: "command"; readonly command: BaseCommand; readonly rest: Uint8Array };

/** Before the broker says how large a message may be. */
export const FIRST_LIMIT = 1 << 20;
/** What a frame may be larger than the message in it. */
export const FRAME_OVERHEAD = 64 << 10;

const CHECKSUM_MAGIC = 0x0e01;
const BROKER_METADATA_MAGIC = 0x0e02;

/** Cuts what a socket brings into frames. */
export class FrameSplitter {
  /** Bytes that a frame may have. */
  limit = FIRST_LIMIT;
  readonly #head = new Uint8Array(4);
  #headLength = 0;
  #body: Uint8Array | undefined;
  #bodyLength = 0;

  /** Whole frames without their length: views where they lie in the chunk. Throws RangeError for a length that cannot be. */
  *split(chunk: Uint8Array): Generator<Uint8Array> {
    let at = 0;
    while (at < chunk.length) {
      if (this.#body === undefined) {
        while (this.#headLength < 4 && at < chunk.length) this.#head[this.#headLength++] = chunk[at++]!;
        if (this.#headLength < 4) return;
        this.#headLength = 0;
        const length = uint32(this.#head, 0);
        if (length < 4 || length > this.limit) {
          throw new RangeError(`A frame of ${length} bytes, expected 4 to ${this.limit}`);
        }
        if (chunk.length - at >= length) {
          yield chunk.subarray(at, at += length);
          continue;
        }
        this.#body = new Uint8Array(length);
        this.#bodyLength = 0;
      }
      const count = Math.min(this.#body.length - this.#bodyLength, chunk.length - at);
      this.#body.set(chunk.subarray(at, at += count), this.#bodyLength);
      this.#bodyLength += count;
      if (this.#bodyLength < this.#body.length) return;
      const whole = this.#body;
      this.#body = undefined;
      yield whole;
    }
  }
}

/** Throws RangeError where the bytes are no frame. */
export function parseFrame(bytes: Uint8Array): Frame {
  const length = bytes.length < 4 ? 0 : uint32(bytes, 0);
  if (length === 0 || length > bytes.length - 4) {
    throw new RangeError(`A command of ${length} bytes in a frame of ${bytes.length}`);
  }
  const command = bytes.subarray(4, 4 + length);
  const rest = bytes.subarray(4 + length);
  try {
    const message = readMessageCommand(command);
    if (message !== undefined) return { kind: "message", message, rest };
    return { kind: "command", command: fromBinary(BaseCommandSchema, command), rest };
  } catch (cause) {
    // protobuf-es throws several kinds of errors.
    throw new RangeError(`No ${BaseCommandSchema.name} of Pulsar: ${String(cause)}`, { cause });
  }
}

/** A whole frame. `rest`: what follows the command. */
export function encodeFrame(command: MessageInitShape<typeof BaseCommandSchema>, rest?: Uint8Array): Uint8Array {
  const body = toBinary(BaseCommandSchema, create(BaseCommandSchema, command));
  const frame = new Uint8Array(8 + body.length + (rest?.length ?? 0));
  const view = new DataView(frame.buffer);
  view.setUint32(0, frame.length - 4);
  view.setUint32(4, body.length);
  frame.set(body, 8);
  if (rest !== undefined) frame.set(rest, 8 + body.length);
  return frame;
}

export interface RawMessage {
  readonly head: MessageHead;
  /** Compressed as the metadata says. A view. */
  readonly payload: Uint8Array;
}

/** What follows the command MESSAGE. Throws RangeError where the checksum is wrong or lengths do not fit together. */
export function parseMessage(rest: Uint8Array): RawMessage {
  let at = 0;
  const need = (bytes: number) => {
    if (rest.length - at < bytes) throw new RangeError(`A message of ${rest.length} bytes is cut short at byte ${at}`);
  };
  const magic = () => rest.length - at >= 2 ? rest[at]! << 8 | rest[at + 1]! : 0;
  if (magic() === BROKER_METADATA_MAGIC) {
    need(6);
    const length = uint32(rest, at + 2);
    at += 6;
    need(length);
    at += length;
  }
  if (magic() === CHECKSUM_MAGIC) {
    need(6);
    const expected = uint32(rest, at + 2);
    at += 6;
    const sum = crc32cOfBytes(rest.subarray(at));
    if (sum !== expected) throw new RangeError(`The checksum is ${hex(sum)}, its producer gave it ${hex(expected)}`);
  }
  need(4);
  const length = uint32(rest, at);
  at += 4;
  need(length);
  return { head: headOf(rest.subarray(at, at + length)), payload: rest.subarray(at + length) };
}

function headOf(bytes: Uint8Array): MessageHead {
  try {
    return readMessageHead(bytes);
  } catch (cause) {
    if (!(cause instanceof WireError)) throw cause;
    throw new RangeError(`No MessageMetadata of Pulsar: ${cause.message}`, { cause });
  }
}

export function uint32(bytes: Uint8Array, at: number): number {
  return (bytes[at]! << 24 | bytes[at + 1]! << 16 | bytes[at + 2]! << 8 | bytes[at + 3]!) >>> 0;
}

function hex(value: number): string {
  return value.toString(16).padStart(8, "0");
}
