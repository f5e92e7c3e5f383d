/** Text columns are bytes all the way; protobuf strings must be valid UTF-8 nonetheless, or a server refuses the whole request. */
import { isUtf8 } from "node:buffer";

/** Beyond this many bytes the runtime's own check is faster than a loop. */
const NATIVE_FROM = 512;

export function isAscii(bytes: Uint8Array, start = 0, end = bytes.length): boolean {
  for (let i = start; i < end; i++) if (bytes[i]! > 127) return false;
  return true;
}

export function isValidUtf8(bytes: Uint8Array): boolean {
  if (bytes.length < NATIVE_FROM && isAscii(bytes)) return true;
  return isUtf8(bytes);
}

/** Holds nothing between calls: no call streams. */
const DECODER = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** Below this many bytes a loop is faster than a call into the runtime. */
const SHORT = 24;

/** Returns undefined for bytes that are not UTF-8. */
export function decodeUtf8(bytes: Uint8Array): string | undefined {
  if (bytes.length <= SHORT && isAscii(bytes)) {
    let text = "";
    for (let i = 0; i < bytes.length; i++) text += String.fromCharCode(bytes[i]!);
    return text;
  }
  try {
    return DECODER.decode(bytes);
  } catch {
    return undefined;
  }
}
