/** What is said of a backup whose key is not at hand. */
import { TidemarkError } from "../../pipeline/errors.ts";
import type { ObjectStore } from "../../pipeline/model/mod.ts";
import type { EncryptionNote } from "./note.ts";

export interface EncryptionOfBackup {
  readonly note: EncryptionNote;
  /** Why it cannot be read; undefined where its key is at hand. */
  readonly locked: TidemarkError | undefined;
  /** The objects as they are stored. */
  readonly stored: ObjectStore;
}

/** `why`: what there is instead of the key. */
export function lockedError(note: EncryptionNote, name: string, location: string, why?: string): TidemarkError {
  const { recipients, lockedIdentity } = note;
  const whose = lockedIdentity === undefined ? `for ${recipients.join(", ")}` : "under a passphrase";
  return new TidemarkError(
    "authentication",
    `Backup ${name} in ${location} is encrypted ${whose}${why === undefined ? "" : `; ${why}`}`,
    {
      hint: lockedIdentity === undefined
        ? "Set storage.encrypt.identity_file (beside --storage: --identity-file) to the file with the secret key of one of these; `backup verify` works without it."
        : "Set storage.encrypt.passphrase_file (beside --storage: --passphrase-file) to the file with its passphrase; `backup verify` works without it.",
    },
  );
}
