/**
 * A key of one's own that goes with every request to an object, and that the service keeps no copy of: SSE-C of S3,
 * customer-provided keys of Azure, customer-supplied encryption keys of Google Cloud. All three take 256 bits for AES.
 */
import { createHash } from "node:crypto";
import { TidemarkError } from "../../pipeline/errors.ts";

const KEY_BYTES = 32;

export interface CustomerKey {
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly base64: string;
  /** SHA-256 of the key, in base64. */
  readonly sha256: string;
}

export function customerKeyOf(bytes: Uint8Array<ArrayBuffer>): CustomerKey {
  return { bytes, base64: bytes.toBase64(), sha256: createHash("sha256").update(bytes).digest("base64") };
}

/** Throws `config` for a file that cannot be read, or that holds anything but 32 bytes, plain, in base64 or in hexadecimal. */
export async function readCustomerKey(file: string | undefined, key: string): Promise<CustomerKey | undefined> {
  if (file === undefined) return undefined;
  let bytes: Uint8Array<ArrayBuffer>;
  try {
    bytes = await Deno.readFile(file);
  } catch (cause) {
    throw new TidemarkError("config", `Cannot read the file ${file} that ${key} names`, {
      hint: "Create it (openssl rand -base64 32 > FILE), or give this process the right to read it.",
      cause,
    });
  }
  const found = bytes.length === KEY_BYTES ? bytes : decoded(new TextDecoder().decode(bytes).trim());
  if (found?.length === KEY_BYTES) return customerKeyOf(found);
  const what = found === undefined
    ? `${bytes.length} bytes that are neither base64 nor hexadecimal`
    : `${found.length} bytes`;
  throw new TidemarkError("config", `The file ${file} that ${key} names holds ${what}, expected a key of 32`, {
    hint: "A key has 256 bits: openssl rand -base64 32 > FILE makes one. Keep a copy: without it nothing can be read.",
  });
}

/** What helps where a service says that an object and the request differ in their key. `used`: a key went with the request. */
export function customerKeyHint(setting: string, used: boolean): string {
  return used
    ? `The object was written with another key than ${setting} holds, or without one.`
    : `The object was written with a key of its owner's: name the key's file in ${setting} (beside --storage: --customer-key-file).`;
}

function decoded(text: string): Uint8Array<ArrayBuffer> | undefined {
  try {
    return /^[0-9a-f]{64}$/i.test(text) ? Uint8Array.fromHex(text) : Uint8Array.fromBase64(text);
  } catch {
    return undefined;
  }
}
