/** Entries as records of the log: protobuf LogMessageLayout {1: payload, 2: properties, a map of text}. */
import { BinaryReader, WireType } from "@bufbuild/protobuf/wire";
import { TidemarkError } from "../../../pipeline/errors.ts";
import { type LogRecord, msOfHybrid, type Position } from "../../../pipeline/model/mod.ts";
import { woodpeckerPosition, woodpeckerPositions } from "../../../pipeline/positions/mod.ts";
import { parseBase36, PropertyError } from "../gen2/properties.ts";
import { headerText } from "../headers.ts";
import { FrameError } from "./frames.ts";

const EMPTY = new Uint8Array();

/** Of entries without a gap, `first` the number of the first. Throws `damaged`. */
export function recordsOf(
  entries: readonly Uint8Array[],
  topic: string,
  segment: bigint,
  first: bigint,
): LogRecord[] {
  return entries.map((entry, i) => {
    const offset = woodpeckerPosition(segment, first + BigInt(i));
    try {
      return recordOf(entry, topic, offset);
    } catch (thrown) {
      if (!(thrown instanceof FrameError)) throw thrown;
      throw new TidemarkError("damaged", `${woodpeckerPositions.format(offset)} of ${topic}: ${thrown.message}`, {
        cause: thrown,
      });
    }
  });
}

/** Unix ms of the time tick that Milvus gave a record; undefined where it has none that could be read. */
export function writtenMs(record: LogRecord | undefined): number | undefined {
  const text = record === undefined ? undefined : headerText(record, "_tt");
  try {
    return text === undefined ? undefined : msOfHybrid(parseBase36(text));
  } catch (error) {
    // That it is none is said where it is decoded.
    if (error instanceof PropertyError) return undefined;
    throw error;
  }
}

/** Value and headers are views into `entry`. Woodpecker keeps no time of the producer. Throws {@link FrameError}. */
export function recordOf(entry: Uint8Array, topic: string, offset: Position): LogRecord {
  let value: Uint8Array = EMPTY;
  const headers: [string, Uint8Array][] = [];
  try {
    const reader = new BinaryReader(entry);
    while (reader.pos < reader.len) {
      const [field, wire] = reader.tag();
      if (field === 1 && wire === WireType.LengthDelimited) value = reader.bytes();
      else if (field === 2 && wire === WireType.LengthDelimited) headers.push(property(reader.bytes()));
      else reader.skip(wire, field);
    }
  } catch (cause) {
    throw new FrameError(`an entry is no message of the log: ${cause instanceof Error ? cause.message : cause}`);
  }
  return { topic, offset, timestampMs: 0n, headers, value };
}

/** An empty value is left out on the wire, and still there. */
function property(bytes: Uint8Array): [string, Uint8Array] {
  let key = "";
  let value: Uint8Array = EMPTY;
  const reader = new BinaryReader(bytes);
  while (reader.pos < reader.len) {
    const [field, wire] = reader.tag();
    if (field === 1 && wire === WireType.LengthDelimited) key = reader.string();
    else if (field === 2 && wire === WireType.LengthDelimited) value = reader.bytes();
    else reader.skip(wire, field);
  }
  return [key, value];
}
