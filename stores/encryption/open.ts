/** From config to the store that all backups of a place are in. */
import type { ObjectStore } from "../../pipeline/model/mod.ts";
import { openObjectStore, type OpenStoreOptions } from "../objects/open.ts";
import { createGuardedBackups } from "./guarded_backups.ts";
import type { EncryptionOfBackup } from "./locked_error.ts";
import type { BackupStorageConfig, EncryptConfig } from "./spec.ts";

/** As `openObjectStore`, and throws `config` for keys that cannot be used. */
export async function openBackupStore(
  config: BackupStorageConfig,
  options: OpenStoreOptions = {},
): Promise<ObjectStore> {
  const store = await openObjectStore(config, options);
  try {
    return await withEncryption(store, config.encrypt);
  } catch (error) {
    await store.close();
    throw error;
  }
}

/** What is below `store` is encrypted, or, without a config, told where it is. */
export async function withEncryption(store: ObjectStore, encrypt: EncryptConfig | undefined): Promise<ObjectStore> {
  if (encrypt === undefined) return createGuardedBackups(store);
  const [{ createEncryptedBackups }, { openKeys }] = await Promise.all([
    import("./encrypted_backups.ts"),
    import("./keys.ts"),
  ]);
  return createEncryptedBackups(store, await openKeys(encrypt));
}

interface Telling {
  encryption?(name: string, signal?: AbortSignal): Promise<EncryptionOfBackup | undefined>;
  readonly inner?: ObjectStore;
}

/** How a backup is encrypted, through all decorators; undefined for one in clear. */
export async function encryptionOf(
  store: ObjectStore,
  name: string,
  signal?: AbortSignal,
): Promise<EncryptionOfBackup | undefined> {
  for (
    let current = store as Telling | undefined;
    current !== undefined;
    current = current.inner as Telling | undefined
  ) {
    if (current.encryption !== undefined) return await current.encryption(name, signal);
  }
  return undefined;
}
