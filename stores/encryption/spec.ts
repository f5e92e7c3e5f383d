/** Config of a backup's encryption on this side, and of the stores that may have it. */
import { z } from "zod";
import {
  azureShape,
  checkAzureLogin,
  checkCredentials,
  checkGcsLogin,
  fileShape,
  gcsShape,
  prefix,
  s3Shape,
} from "../objects/spec.ts";

/** A public key of age: X25519 (`age1…`), or with a post-quantum part (`age1pq1…`), or of a hardware token (`age1tag1…`). */
const recipient = z.string().regex(/^age1[0-9a-z]+$/, {
  error: "expected a recipient of age, which begins with age1: `age-keygen -y KEYFILE` prints it",
});

export const encryptSpec = z.strictObject({
  recipients: z.array(recipient).min(1).max(20).optional().describe(
    "Public keys (age1…) for which everything is encrypted; left out, those of `identity_file`, which must be among them",
  ),
  identity_file: z.string().min(1).optional().describe(
    "File with the secret key (AGE-SECRET-KEY-…), as `age-keygen` writes it; what is written must be read again, too",
  ),
  passphrase_file: z.string().min(1).optional().describe(
    "File with a passphrase in the place of keys: it locks a key that is made once and kept beside the backups",
  ),
}).superRefine(({ recipients, identity_file, passphrase_file }, context) => {
  const add = (path: string, message: string) => context.addIssue({ code: "custom", path: [path], message });
  if (passphrase_file !== undefined && identity_file !== undefined) {
    add("passphrase_file", "passphrase_file and identity_file exclude each other");
  } else if (passphrase_file !== undefined && recipients !== undefined) {
    add("recipients", "passphrase_file makes its own key: leave recipients out, or give identity_file");
  } else if (passphrase_file === undefined && identity_file === undefined) {
    add("identity_file", "encrypt needs identity_file or passphrase_file: Tidemark reads what it has written");
  }
});

export type EncryptConfig = z.output<typeof encryptSpec>;

const encrypt = encryptSpec.optional().describe(
  "Encrypts every object with age before it leaves this machine; other programs for backups cannot read it then",
);

/** `storage:` of a backup: any object store, and whether it may read what is in it. */
export const backupStorageSpec = z.discriminatedUnion("type", [
  z.strictObject({ ...s3Shape, prefix, encrypt }).superRefine(checkCredentials),
  z.strictObject({ ...azureShape, prefix, encrypt }).superRefine(checkAzureLogin),
  z.strictObject({ ...gcsShape, prefix, encrypt }).superRefine(checkGcsLogin),
  z.strictObject({ ...fileShape, prefix, encrypt }),
]);

export type BackupStorageConfig = z.output<typeof backupStorageSpec>;
