/** `<name>/encryption.json`: what makes a backup an encrypted one. In clear, and the first object of its folder. */
import { formatJson } from "../../pipeline/json.ts";
import { TidemarkError } from "../../pipeline/errors.ts";
import type { ObjectStore } from "../../pipeline/model/mod.ts";
import { readJsonObject } from "../backup/json_reader.ts";

export interface EncryptionNote {
  /** For whom every object of the backup is. */
  readonly recipients: readonly string[];
  /** In front of each object's payload. */
  readonly headBytes: number;
  /** The secret key of the only recipient, in age's armour under a passphrase; undefined where people keep theirs. */
  readonly lockedIdentity: string | undefined;
}

const FORMAT = 1;
const ABOUT =
  "This backup is encrypted with age (https://age-encryption.org): each object but this file and those of sums/. Tidemark restores it; milvus-backup cannot read it.";

export const noteKey = (name: string): string => `${name}/encryption.json`;

export function encodeNote({ recipients, headBytes, lockedIdentity }: EncryptionNote): Uint8Array {
  const text = formatJson({
    format: FORMAT,
    about: ABOUT,
    recipients,
    head_bytes: headBytes,
    ...(lockedIdentity === undefined ? {} : { locked_identity: lockedIdentity }),
  });
  return new TextEncoder().encode(text);
}

/** Undefined for a backup in clear, or none. Throws `damaged`, and `unsupported` for that of a later Tidemark. */
export async function readNote(
  store: ObjectStore,
  name: string,
  signal?: AbortSignal,
): Promise<EncryptionNote | undefined> {
  const key = noteKey(name);
  let bytes: Uint8Array;
  try {
    bytes = await store.get(key, undefined, signal);
  } catch (error) {
    if (error instanceof TidemarkError && error.code === "not_found") return undefined;
    throw error;
  }
  const json = readJsonObject(new TextDecoder().decode(bytes), key);
  const format = json.small("format");
  if (format !== FORMAT) {
    throw new TidemarkError("unsupported", `${key} in ${store.location} has format ${format}, expected ${FORMAT}`, {
      hint: "A later Tidemark encrypted this backup: read it with that one.",
    });
  }
  const locked = json.text("locked_identity");
  return {
    recipients: json.texts("recipients"),
    headBytes: json.small("head_bytes"),
    lockedIdentity: locked === "" ? undefined : locked,
  };
}

/** The backup of a key; undefined for what lies beside the backups. */
export function nameOf(key: string): string | undefined {
  const slash = key.indexOf("/");
  return slash <= 0 ? undefined : key.slice(0, slash);
}
