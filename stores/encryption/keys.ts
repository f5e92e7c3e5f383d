/** The keys that a configuration names. */
import { TidemarkError, toTidemarkError } from "../../pipeline/errors.ts";
import type { ObjectStore } from "../../pipeline/model/mod.ts";
import { readText } from "../objects/secret_file.ts";
import { lockText, newIdentity, recipientOf, unlockText } from "./age.ts";
import { lockedError } from "./locked_error.ts";
import type { EncryptionNote } from "./note.ts";
import { headBytesFor } from "./seal.ts";
import type { EncryptConfig } from "./spec.ts";

export interface Keys {
  /** What new backups are written with. */
  forNew(store: ObjectStore, signal?: AbortSignal): Promise<EncryptionNote>;
  /** Identities that open a backup. Throws `authentication` where there is none among what is configured. */
  forBackup(note: EncryptionNote, name: string, location: string): Promise<readonly string[]>;
}

/** Beside the backups, so that all of a passphrase share one key, and with it files. Each of them has it in its own note, too. */
const LOCKED_KEY = "tidemark_identity.age";

/** Throws `config` for a file that cannot be read or holds no key. */
export async function openKeys(config: EncryptConfig): Promise<Keys> {
  return config.passphrase_file === undefined
    ? await identityKeys(config.identity_file!, config.recipients)
    : await passphraseKeys(config.passphrase_file);
}

async function identityKeys(file: string, named: readonly string[] | undefined): Promise<Keys> {
  const text = (await readText(file, "encrypt.identity_file"))!;
  const lines = text.split(/\r?\n/).map((line) => line.trim()).filter((line) => line !== "" && !line.startsWith("#"));
  const own = await Promise.all(lines.map(async (line) => {
    try {
      return { identity: line, recipient: await recipientOf(line) };
    } catch {
      // The line itself is no secret to be shown.
      throw new TidemarkError(
        "config",
        `${file}, which encrypt.identity_file names, holds a line that is no secret key`,
        {
          hint:
            "Expected lines that begin with AGE-SECRET-KEY-, as `age-keygen` writes them. Keys of plugins and of SSH, and key files under a passphrase, are not read: take the passphrase off with `age -d`.",
        },
      );
    }
  }));
  if (own.length === 0) {
    throw new TidemarkError("config", `${file}, which encrypt.identity_file names, holds no secret key`, {
      hint: "`age-keygen -o FILE` writes one.",
    });
  }
  const recipients = [...new Set(named ?? own.map(({ recipient }) => recipient))].sort();
  let headBytes: number;
  try {
    headBytes = await headBytesFor(recipients);
  } catch (cause) {
    throw new TidemarkError(
      "config",
      `encrypt.recipients has one that is no public key of age: ${toTidemarkError(cause).message}`,
      {
        hint: "`age-keygen -y KEYFILE` prints the public key of a secret one.",
        cause,
      },
    );
  }
  if (!own.some(({ recipient }) => recipients.includes(recipient))) {
    throw new TidemarkError("config", `encrypt.identity_file (${file}) is the key of none of encrypt.recipients`, {
      hint: `Tidemark reads what it writes: add ${own[0]!.recipient} to the recipients.`,
    });
  }
  return {
    forNew: () => Promise.resolve({ recipients, headBytes, lockedIdentity: undefined }),
    async forBackup(note, name, location) {
      const identities = own.filter(({ recipient }) => note.recipients.includes(recipient));
      if (identities.length > 0) return identities.map(({ identity }) => identity);
      throw lockedError(note, name, location, `${file} holds the key of ${own.map((one) => one.recipient).join(", ")}`);
    },
  };
}

async function passphraseKeys(file: string): Promise<Keys> {
  // As `readSecret`: one line, without white space at its ends.
  const passphrase = (await readText(file, "encrypt.passphrase_file"))!.trim();
  if (passphrase === "") throw new TidemarkError("config", `${file}, which encrypt.passphrase_file names, is empty`);
  /** By the locked text: to open one takes a second and 256 MiB. */
  const opened = new Map<string, Promise<string>>();
  const unlock = (locked: string): Promise<string> => {
    let identity = opened.get(locked);
    if (identity === undefined) {
      opened.set(locked, identity = unlockText(locked, passphrase));
      identity.catch(() => {});
    }
    return identity;
  };
  const wrong = (what: string, cause: unknown) =>
    new TidemarkError("authentication", `The passphrase in ${file} does not open the key of ${what}`, {
      hint: "Give the passphrase that was set when the first encrypted backup was made there.",
      cause,
    });
  const lockedKey = async (store: ObjectStore, signal?: AbortSignal): Promise<string> => {
    const read = async () => new TextDecoder().decode(await store.get(LOCKED_KEY, undefined, signal));
    if (await store.head(LOCKED_KEY, signal) !== undefined) return await read();
    const identity = await newIdentity();
    const locked = await lockText(identity, passphrase);
    try {
      await store.put(LOCKED_KEY, new TextEncoder().encode(locked), { ifAbsent: true }, signal);
      opened.set(locked, Promise.resolve(identity));
      return locked;
    } catch (error) {
      // Another process was first.
      if (error instanceof TidemarkError && error.code === "refused") return await read();
      throw error;
    }
  };
  return {
    async forNew(store, signal) {
      const lockedIdentity = await lockedKey(store, signal);
      const identity = await unlock(lockedIdentity).catch((error) => {
        throw wrong(`${store.location} (${LOCKED_KEY})`, error);
      });
      const recipients = [await recipientOf(identity)];
      return { recipients, headBytes: await headBytesFor(recipients), lockedIdentity };
    },
    async forBackup(note, name, location) {
      if (note.lockedIdentity === undefined) {
        throw lockedError(note, name, location, "it has no key that a passphrase opens");
      }
      try {
        return [await unlock(note.lockedIdentity)];
      } catch (error) {
        throw wrong(`backup ${name} in ${location}`, error);
      }
    },
  };
}
