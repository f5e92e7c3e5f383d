/**
 * Properties of a generation-2 message, which are the record's Kafka headers: numbers in base 36 or decimal text, messages
 * as base64 of their protobuf. An empty text is an empty message, not a missing one.
 */
import { type DescMessage, fromBinary, type MessageShape } from "@bufbuild/protobuf";
import type { LogRecord } from "../../../pipeline/model/mod.ts";
import { headerText } from "../headers.ts";

/** Thrown for a property that is not what its name says. */
export class PropertyError extends Error {
  constructor(message: string) {
    super(message);
    this.name = "PropertyError";
  }
}

const BASE36 = /^[0-9a-z]{1,13}$/;

/** `3gg498oqzuo0` → 455000614502400000n. */
export function parseBase36(text: string): bigint {
  if (!BASE36.test(text)) throw new PropertyError(`expected a base-36 number, found "${text}"`);
  let value = 0n;
  for (const digit of text) value = value * 36n + BigInt(parseInt(digit, 36));
  return BigInt.asUintN(64, value);
}

/** The message type; 0 where it is missing. */
export function messageType(record: LogRecord): number {
  const text = headerText(record, "_t") ?? "0";
  if (!/^\d{1,9}$/.test(text)) throw new PropertyError(`property _t: expected a decimal number, found "${text}"`);
  return parseInt(text);
}

export function timeTick(record: LogRecord): bigint {
  const text = headerText(record, "_tt");
  if (text === undefined) throw new PropertyError("property _tt is missing");
  return parseBase36(text);
}

/** A property that is a message; undefined where the record does not have it. */
export function propertyMessage<Desc extends DescMessage>(
  record: LogRecord,
  name: string,
  schema: Desc,
): MessageShape<Desc> | undefined {
  const text = headerText(record, name);
  if (text === undefined) return undefined;
  try {
    return fromBinary(schema, Uint8Array.fromBase64(text));
  } catch (cause) {
    throw new PropertyError(
      `property ${name} is no ${schema.typeName}: ${cause instanceof Error ? cause.message : cause}`,
    );
  }
}
