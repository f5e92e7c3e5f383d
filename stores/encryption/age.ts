/** The only importer of age's library: its headers, keys and passphrases. The payload is {@link "./payload.ts"}. */
import { armor, Decrypter, Encrypter, generateX25519Identity, identityToRecipient } from "age-encryption";

/** What an encrypter without body makes behind its header: a nonce and an empty chunk's tag. */
const EMPTY_PAYLOAD_BYTES = 16 + 16;

/**
 * A header for `recipients` and the file key in it, which no other header has. Throws for a recipient that is none. Its
 * length depends on the kinds of the recipients alone.
 */
export async function sealHeader(
  recipients: readonly string[],
): Promise<{ readonly header: Uint8Array; readonly fileKey: Uint8Array }> {
  const encrypter = new Encrypter();
  for (const recipient of recipients) encrypter.addRecipient(recipient);
  let fileKey: Uint8Array | undefined;
  encrypter.addRecipient({
    wrapFileKey(key) {
      fileKey = key.slice();
      return [];
    },
  });
  const file = await encrypter.encrypt(new Uint8Array());
  return { header: file.subarray(0, file.length - EMPTY_PAYLOAD_BYTES), fileKey: fileKey! };
}

/** The file key in a header; throws where none of `identities` opens it, or it was changed. */
export async function openHeader(identities: readonly string[], header: Uint8Array): Promise<Uint8Array> {
  const decrypter = new Decrypter();
  for (const identity of identities) decrypter.addIdentity(identity);
  return await decrypter.decryptHeader(header);
}

/** The public half of a secret key; throws for a text that is none. */
export async function recipientOf(identity: string): Promise<string> {
  return await identityToRecipient(identity);
}

export async function newIdentity(): Promise<string> {
  return await generateX25519Identity();
}

/** A text in age's armour that the passphrase opens, also with the command `age`. */
export async function lockText(text: string, passphrase: string): Promise<string> {
  const encrypter = new Encrypter();
  encrypter.setPassphrase(passphrase);
  return armor.encode(await encrypter.encrypt(text));
}

/** Throws where the passphrase is another. */
export async function unlockText(locked: string, passphrase: string): Promise<string> {
  const decrypter = new Decrypter();
  decrypter.addPassphrase(passphrase);
  return await decrypter.decrypt(armor.decode(locked), "text");
}
