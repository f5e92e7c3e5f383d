/** The places that a `backup` command works on, from its options. */
import { type BackupPlace, openPlace, openPlaces, type PlaceAccess } from "../config/mod.ts";
import { TidemarkError } from "../pipeline/errors.ts";
import { enumerate } from "../pipeline/units/mod.ts";
import { listBackups, whereBackupsAre } from "../sources/backup/mod.ts";
import type { CommandContext } from "./context.ts";
import type { SharedOptions } from "./session.ts";

/** Where the backups are: a place given by hand, or the backup sinks of the configuration. */
export interface PlaceOptions extends SharedOptions, PlaceAccess {
  readonly storage?: string;
  readonly sink?: string;
}

/** Options that say something of --storage, and what a configuration has for them. */
const BESIDE_STORAGE = [
  ["endpoint", "--endpoint", "`endpoint`"],
  ["region", "--region", "`region`"],
  ["virtualHost", "--virtual-host", "`path_style: false`"],
  ["identityFile", "--identity-file", "`encrypt.identity_file`"],
  ["passphraseFile", "--passphrase-file", "`encrypt.passphrase_file`"],
  ["customerKeyFile", "--customer-key-file", "`customer_key_file` (S3: `sse.customer_key_file`)"],
] as const satisfies readonly (readonly [keyof PlaceAccess, string, string])[];

/** Opens them for the time of `work`. Throws `usage` where both or neither of --storage and --config are given. */
export async function withPlaces<T>(
  context: CommandContext,
  options: PlaceOptions,
  work: (places: readonly BackupPlace[]) => Promise<T>,
): Promise<T> {
  await using stack = new AsyncDisposableStack();
  if (options.storage !== undefined) {
    if (context.files.length > 0) {
      throw new TidemarkError("usage", "--storage and --config exclude each other: each says where the backups are");
    }
    return await work([stack.use(await openPlace(options.storage, options))]);
  }
  const alone = BESIDE_STORAGE.find(([key]) => options[key] !== undefined);
  if (alone !== undefined) {
    throw new TidemarkError("usage", `${alone[1]} needs --storage`, {
      hint: `With --config it stands in the configuration, as ${alone[2]} of the storage.`,
    });
  }
  if (context.files.length === 0) {
    throw new TidemarkError("usage", "Where are the backups? Expected --config FILE or --storage PLACE", {
      hint: "tidemark backup list --storage /backups, or --storage s3://bucket/prefix --endpoint http://minio:9000.",
    });
  }
  const places = await openPlaces(context.config(), options.sink);
  for (const place of places) stack.use(place);
  return await work(places);
}

/** The one place that holds a backup of this name. Throws `not_found` with the names that there are. */
export async function placeOfBackup(
  places: readonly BackupPlace[],
  name: string,
  signal: AbortSignal,
): Promise<BackupPlace> {
  const known: string[] = [];
  const holders: BackupPlace[] = [];
  for (const place of places) {
    const names = (await listBackups(place.store, signal)).map((backup) => backup.name);
    known.push(...names);
    if (names.includes(name)) holders.push(place);
  }
  if (holders.length === 1) return holders[0]!;
  if (holders.length > 1) {
    throw new TidemarkError("usage", `${name} is in ${holders.map((place) => place.label).join(" and ")}`, {
      hint: "Choose one with --sink.",
    });
  }
  const where = places.map((place) => place.store.location).join(", ");
  throw new TidemarkError("not_found", `There is no backup ${name} in ${where}`, {
    hint: known.length === 0 ? await whereBackupsAre(places[0]!.store, signal) : `There are ${enumerate(known)}.`,
  });
}
