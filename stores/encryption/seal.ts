/** What encrypts and decrypts the objects of one backup: its recipients and, where there are any, the identities. */
import { TidemarkError, toTidemarkError } from "../../pipeline/errors.ts";
import { openHeader, sealHeader } from "./age.ts";
import { NONCE_BYTES, payloadKey } from "./payload.ts";

export interface Seal {
  /** Seals of one name write the same: what one has written can be shared with another. */
  readonly name: string;
  /** In front of every payload: the header and the nonce, always of this length. */
  readonly headBytes: number;
  /** A head that no other object has, and the key of what follows it. */
  make(): Promise<{ readonly head: Uint8Array; readonly key: Uint8Array }>;
  /** The key of what follows `head`. Throws `damaged`. `what` is for the error. */
  open(head: Uint8Array, what: string): Promise<Uint8Array>;
}

/** Length of the head of every object that is encrypted for these. */
export async function headBytesFor(recipients: readonly string[]): Promise<number> {
  return (await sealHeader(recipients)).header.length + NONCE_BYTES;
}

export function createSeal(recipients: readonly string[], identities: readonly string[], headBytes: number): Seal {
  return {
    name: recipients.join(" "),
    headBytes,
    async make() {
      const { header, fileKey } = await sealHeader(recipients);
      const nonce = crypto.getRandomValues(new Uint8Array(NONCE_BYTES));
      const head = new Uint8Array(header.length + NONCE_BYTES);
      head.set(header);
      head.set(nonce, header.length);
      if (head.length !== headBytes) {
        throw new TidemarkError("unexpected", `A header of age has ${head.length} bytes, expected ${headBytes}`);
      }
      return { head, key: payloadKey(fileKey, nonce) };
    },
    async open(head, what) {
      const header = head.subarray(0, Math.max(0, head.length - NONCE_BYTES));
      try {
        return payloadKey(await openHeader(identities, header), head.subarray(header.length));
      } catch (thrown) {
        throw new TidemarkError(
          "damaged",
          `${what} has no header that its key opens: ${toTidemarkError(thrown).message}`,
          {
            hint:
              "Bring the object back from a copy of the backup; something else wrote it, or its first bytes rotted.",
            cause: thrown,
          },
        );
      }
    },
  };
}
