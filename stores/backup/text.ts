/** Text of a backup. What is no UTF-8 was damaged: read as something like it, a name would be another one. */
import { TidemarkError } from "../../pipeline/errors.ts";
import type { ObjectStore } from "../../pipeline/model/mod.ts";

// A mark of the order of bytes is part of what stands there.
const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** The whole of an object. Throws `damaged` where it is no UTF-8, and what the store throws. */
export async function readText(store: ObjectStore, key: string, signal?: AbortSignal): Promise<string> {
  return decodeText(await store.get(key, undefined, signal), key);
}

/** `what`: for the error. Throws `damaged`. */
export function decodeText(bytes: Uint8Array, what: string): string {
  try {
    return utf8.decode(bytes);
  } catch (cause) {
    throw new TidemarkError("damaged", `${what} is not the text that it should be: it has bytes that are no UTF-8`, {
      cause,
    });
  }
}
