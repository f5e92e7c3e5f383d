/**
 * The envelope of a binlog file: magic, descriptor event, data events. All integers are little-endian.
 *
 *     0  magic BC FA FF 00
 *     4  descriptor: header (17 bytes), fixed part (52), lengths of post headers (8), length n of the extras (4), extras
 *        data event: header (17), start and end ts (16), payload
 *
 * A header is timestamp u64, type i8, eventLength i32 (with the header), nextPosition i32. `nextPosition` is not used:
 * stream writers and compaction leave it meaningless. Timestamps in headers are not data.
 */
import { TidemarkError } from "../../pipeline/errors.ts";
import { type Json, parseJson } from "../../pipeline/json.ts";
import { type ByteSource, sliceSource } from "../../stores/mod.ts";
import { damaged } from "./damage.ts";

export const EVENT_INSERT = 1;
export const EVENT_DELETE = 2;

export interface Descriptor {
  readonly collectionId: bigint;
  readonly partitionId: bigint;
  readonly segmentId: bigint;
  /** -1 in delta files. */
  readonly fieldId: bigint;
  /** DataType of the payload. */
  readonly payloadType: number;
  /** `original_size`, `nullable`, `version`, …; unknown keys are there too. */
  readonly extras: Readonly<Record<string, Json>>;
}

export interface DataEvent {
  /** {@link EVENT_INSERT} or {@link EVENT_DELETE}. */
  readonly type: number;
  /** A whole Parquet file. */
  readonly payload: ByteSource;
}

export interface Envelope {
  readonly descriptor: Descriptor;
  readonly events: readonly DataEvent[];
}

const MAGIC = [0xbc, 0xfa, 0xff, 0x00] as const;
const HEADER = 17;
const DESCRIPTOR_FIXED = 52;
const EVENT_FIXED = 16;
/** Where the extras of the descriptor begin: its post headers are one byte for each of eight event types. */
const EXTRAS = 4 + HEADER + DESCRIPTOR_FIXED + 8 + 4;
/** Enough for every descriptor seen so far. */
const FIRST_READ = 4096;

/** True if the bytes begin as a binlog file does. */
export function isEnvelope(bytes: Uint8Array): boolean {
  return MAGIC.every((byte, i) => bytes[i] === byte);
}

/**
 * Reads descriptor and event headers; payloads are not touched.
 * Throws `damaged` where the file is cut off or no binlog, `unsupported` where it is encrypted.
 */
export async function readEnvelope(source: ByteSource, what: string): Promise<Envelope> {
  const { descriptor, end } = await readDescriptor(source, what);
  return { descriptor, events: await readEvents(source, end, what) };
}

/** The first event alone, and where it ends. Throws as {@link readEnvelope} does; the file may be longer than `source`. */
export async function readDescriptor(
  source: ByteSource,
  what: string,
): Promise<{ readonly descriptor: Descriptor; readonly end: number }> {
  let head = await source.read(0, Math.min(source.size, FIRST_READ));
  if (!isEnvelope(head)) throw damaged(what, "does not begin as a binlog file does (BC FA FF 00)");
  if (head.length < EXTRAS) throw damaged(what, `is cut off in its descriptor, at ${head.length} bytes`);
  let view = viewOf(head);
  const type = view.getInt8(4 + 8);
  const length = view.getInt32(4 + 9, true);
  const extrasLength = view.getInt32(EXTRAS - 4, true);
  if (type !== 0 || extrasLength < 0 || length !== EXTRAS - 4 + extrasLength) {
    throw damaged(what, "has a descriptor that contradicts itself");
  }
  if (4 + length > source.size) throw damaged(what, `is cut off in its descriptor, at ${source.size} bytes`);
  if (4 + length > head.length) {
    head = await source.read(0, 4 + length);
    view = viewOf(head);
  }
  const at = 4 + HEADER;
  const descriptor: Descriptor = {
    collectionId: view.getBigInt64(at, true),
    partitionId: view.getBigInt64(at + 8, true),
    segmentId: view.getBigInt64(at + 16, true),
    fieldId: view.getBigInt64(at + 24, true),
    payloadType: view.getInt32(at + 48, true),
    extras: parseExtras(head.subarray(EXTRAS, 4 + length), what),
  };
  if (descriptor.extras.edek !== undefined) {
    throw new TidemarkError("unsupported", `${what} is encrypted by the source's cipher plugin`, {
      hint: "Collections of an encrypted database cannot be read from their files; exclude them.",
    });
  }
  return { descriptor, end: 4 + length };
}

async function readEvents(source: ByteSource, start: number, what: string): Promise<DataEvent[]> {
  const events: DataEvent[] = [];
  for (let at = start; at < source.size;) {
    if (at + HEADER + EVENT_FIXED > source.size) {
      throw damaged(what, `is cut off in an event header, at ${source.size} bytes`);
    }
    const view = viewOf(await source.read(at, at + HEADER));
    const type = view.getInt8(8);
    const length = view.getInt32(9, true);
    if (length < HEADER + EVENT_FIXED) throw damaged(what, `has an event of ${length} bytes at ${at}`);
    if (at + length > source.size) {
      throw damaged(what, `is cut off: an event ends at ${at + length}, the file at ${source.size} bytes`);
    }
    if (type !== EVENT_INSERT && type !== EVENT_DELETE) {
      throw damaged(what, `has an event of type ${type}, neither insert nor delete`);
    }
    events.push({ type, payload: sliceSource(source, at + HEADER + EVENT_FIXED, at + length) });
    at += length;
  }
  if (events.length === 0) throw damaged(what, "is cut off: it ends behind its descriptor");
  return events;
}

function parseExtras(bytes: Uint8Array, what: string): Readonly<Record<string, Json>> {
  if (bytes.length === 0) return {};
  try {
    const extras = parseJson(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
    if (extras !== null && typeof extras === "object" && !Array.isArray(extras)) return extras;
  } catch (cause) {
    throw damaged(what, "has a descriptor whose extras are no JSON", cause);
  }
  throw damaged(what, "has a descriptor whose extras are no JSON object");
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
