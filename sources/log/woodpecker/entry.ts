/** One entry as a record of the log: protobuf LogMessageLayout {1: payload, 2: properties, a map of text}. */
import { BinaryReader, WireType } from "@bufbuild/protobuf/wire";
import type { LogRecord, Position } from "../../../pipeline/model/mod.ts";
import { FrameError } from "./frames.ts";

const EMPTY = new Uint8Array();

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
