/**
 * Another name for the recorded cluster, so that several loads live side by side in one etcd and Kafka. It is as long as the
 * recorded one, so that it can be put in its place anywhere, also inside of protobuf.
 */
import { Buffer } from "node:buffer";
import type { RecordedRecord } from "./recording.ts";

export const RECORDED_NAME = "by-dev";

/** `index` 0 to 9999. */
export function clusterName(index: number): string {
  return `rc${String(index).padStart(4, "0")}`;
}

export function renameText(text: string, name: string): string {
  return text.replaceAll(RECORDED_NAME, name);
}

export function renameBytes(bytes: Uint8Array, name: string): Uint8Array {
  const from = Buffer.from(RECORDED_NAME);
  const found = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
  if (!found.includes(from)) return bytes;
  const renamed = Buffer.from(found);
  for (let at = renamed.indexOf(from); at >= 0; at = renamed.indexOf(from, at + name.length)) renamed.write(name, at);
  return renamed;
}

/** Headers are text, or a protobuf in base64. */
export function renameRecord(record: RecordedRecord, name: string): RecordedRecord {
  const header = (bytes: Uint8Array): Uint8Array => {
    const text = new TextDecoder().decode(bytes);
    if (text.includes(RECORDED_NAME)) return renameBytes(bytes, name);
    if (text.length % 4 !== 0 || !/^[A-Za-z0-9+/]{8,}={0,2}$/.test(text)) return bytes;
    const message = Uint8Array.fromBase64(text);
    const renamed = renameBytes(message, name);
    return renamed === message ? bytes : new TextEncoder().encode(renamed.toBase64());
  };
  return {
    ...record,
    topic: renameText(record.topic, name),
    headers: record.headers.map(([key, value]) => [key, header(value)]),
    value: record.value === null ? null : renameBytes(record.value, name),
  };
}
