/** Encrypts what is kept: AES-256-GCM with a key from a file. */
import { createCipheriv, createDecipheriv, hkdfSync, randomBytes } from "node:crypto";
import { Buffer } from "node:buffer";
import { TidemarkError } from "../../pipeline/errors.ts";

export interface Seal {
  close(text: string): string;
  /** Throws `damaged` for what another key closed. */
  open(sealed: string): string;
}

const NONCE = 12;
const TAG = 16;
const SHORTEST = 32;

/** `secret`: 32 bytes or more. Throws `config` for fewer. */
export function sealWith(secret: Uint8Array): Seal {
  if (secret.length < SHORTEST) {
    throw new TidemarkError("config", `server.key_file holds ${secret.length} bytes, expected ${SHORTEST} or more`, {
      hint: "Make one: head -c 32 /dev/urandom > server.key",
    });
  }
  const key = Buffer.from(hkdfSync("sha256", secret, new Uint8Array(), "tidemark server tasks", 32));
  return {
    close: (text) => {
      const nonce = randomBytes(NONCE);
      const cipher = createCipheriv("aes-256-gcm", key, nonce);
      const body = Buffer.concat([cipher.update(text, "utf8"), cipher.final()]);
      return Buffer.concat([nonce, cipher.getAuthTag(), body]).toString("base64");
    },
    open: (sealed) => {
      try {
        const bytes = Buffer.from(sealed, "base64");
        const decipher = createDecipheriv("aes-256-gcm", key, bytes.subarray(0, NONCE), { authTagLength: TAG });
        decipher.setAuthTag(bytes.subarray(NONCE, NONCE + TAG));
        return Buffer.concat([decipher.update(bytes.subarray(NONCE + TAG)), decipher.final()]).toString("utf8");
      } catch (cause) {
        throw new TidemarkError("damaged", "A task's configuration cannot be opened with this server.key_file", {
          hint: "Give the file with which the tasks were stored.",
          cause,
        });
      }
    },
  };
}
