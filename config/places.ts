/** Where backups are kept: the backup sinks of a configuration, or a place that is named on the command line. */
import { TidemarkError } from "../pipeline/errors.ts";
import type { ObjectStore } from "../pipeline/model/mod.ts";
import { type BackupStorageConfig, backupStorageSpec } from "../stores/encryption/spec.ts";
import type { PipelineConfig, SinkConfig } from "./schema.ts";

export type BackupSink = Extract<SinkConfig, { type: "backup" }>;

export interface BackupPlace extends AsyncDisposable {
  /** Name of the sink, or the place as it was given. */
  readonly label: string;
  readonly store: ObjectStore;
  /** The sink's configuration; undefined for a place of the command line. */
  readonly sink: BackupSink | undefined;
  readonly pipeline: string | undefined;
}

/** Without its clients a configuration is read sooner. */
async function openStore(config: BackupStorageConfig): Promise<ObjectStore> {
  const { openBackupStore } = await import("../stores/encryption/mod.ts");
  return await openBackupStore(config);
}

/** What the command line says of a place beside its URL; files are named by path. */
export interface PlaceAccess {
  readonly endpoint?: string | undefined;
  /** As `region` of S3; left out, that of the environment (AWS_REGION, AWS_DEFAULT_REGION). */
  readonly region?: string | undefined;
  /** As `path_style: false` of S3. */
  readonly virtualHost?: boolean | undefined;
  /** As `encrypt.identity_file`. */
  readonly identityFile?: string | undefined;
  /** As `encrypt.passphrase_file`. */
  readonly passphraseFile?: string | undefined;
  /** As `sse.customer_key_file` of S3, `customer_key_file` of the others. */
  readonly customerKeyFile?: string | undefined;
}

/** The store of `--storage`: a folder, or a bucket's URL. Throws `usage`, and `config` for a file of keys that cannot be used. */
export async function openPlace(storage: string, access: PlaceAccess): Promise<BackupPlace> {
  return placeOf(storage, await openStore(placeConfig(storage, access)), undefined, undefined);
}

/** The kinds of store by the scheme of their URL. */
const SCHEMES: Readonly<Record<string, { readonly type: "s3" | "azure" | "gcs"; readonly key: string }>> = {
  s3: { type: "s3", key: "bucket" },
  azure: { type: "azure", key: "container" },
  gs: { type: "gcs", key: "bucket" },
};
const KNOWN_PLACES = "s3://bucket/prefix, azure://container/prefix or gs://bucket/prefix";

/** Options that say something of one kind of store, or of all but folders. */
const FOR_S3 = [["region", "--region"], ["virtualHost", "--virtual-host"]] as const;
const FOR_BUCKETS = [["endpoint", "--endpoint"], ["customerKeyFile", "--customer-key-file"], ...FOR_S3] as const;

/** What `--storage` and the options beside it mean, as a configuration would say it. The logins are the environment's. */
export function placeConfig(
  storage: string,
  access: PlaceAccess = {},
  env: (name: string) => string | undefined = (name) => Deno.env.get(name),
): BackupStorageConfig {
  const { endpoint, identityFile, passphraseFile, customerKeyFile } = access;
  const keys = {
    ...(identityFile === undefined ? {} : { identity_file: identityFile }),
    ...(passphraseFile === undefined ? {} : { passphrase_file: passphraseFile }),
  };
  const encrypt = Object.keys(keys).length === 0 ? {} : { encrypt: keys };
  const [, scheme = "", bucket, prefix = ""] = /^(\w+):\/\/([^/]+)\/?(.*)$/.exec(storage) ?? [];
  const kind = Object.hasOwn(SCHEMES, scheme) ? SCHEMES[scheme] : undefined;
  if (kind === undefined) {
    if (/^[a-z][a-z0-9+.-]*:\/\//i.test(storage) && !storage.startsWith("file://")) {
      throw new TidemarkError("usage", `--storage ${storage} is of no known kind`, {
        hint: `Give a folder, ${KNOWN_PLACES}.`,
      });
    }
    const foreign = FOR_BUCKETS.find(([key]) => access[key] !== undefined);
    if (foreign !== undefined) {
      throw new TidemarkError("usage", `${foreign[1]} has no meaning with a folder`, {
        hint: `Leave it out, or give --storage ${KNOWN_PLACES}.`,
      });
    }
    return parsed({ type: "file", path: storage.replace(/^file:\/\//, ""), ...encrypt }, storage, access);
  }
  const foreign = kind.type === "s3" ? undefined : FOR_S3.find(([key]) => access[key] !== undefined);
  if (foreign !== undefined) {
    throw new TidemarkError("usage", `${foreign[1]} has no meaning with ${scheme}://`, {
      hint: "It is for s3:// alone: leave it out.",
    });
  }
  const customerKey = customerKeyFile === undefined
    ? {}
    : kind.type === "s3"
    ? { sse: { mode: "sse-c", customer_key_file: customerKeyFile } }
    : { customer_key_file: customerKeyFile };
  const url = endpoint === undefined || /^https?:\/\//.test(endpoint) ? endpoint : `http://${endpoint}`;
  return parsed(
    {
      type: kind.type,
      [kind.key]: bucket,
      prefix: prefix.replace(/\/+$/, ""),
      ...(url === undefined ? {} : { endpoint: url }),
      ...(kind.type === "s3" ? s3Access(access, env) : {}),
      ...customerKey,
      ...encrypt,
    },
    storage,
    access,
  );
}

function s3Access({ region, virtualHost }: PlaceAccess, env: (name: string) => string | undefined) {
  const signedFor = region ?? (env("AWS_REGION") || env("AWS_DEFAULT_REGION") || undefined);
  return {
    ...(signedFor === undefined ? {} : { region: signedFor }),
    ...(virtualHost === true ? { path_style: false } : {}),
  };
}

function parsed(config: object, storage: string, { endpoint, customerKeyFile }: PlaceAccess): BackupStorageConfig {
  const result = backupStorageSpec.safeParse(config);
  if (result.success) return result.data;
  throw new TidemarkError(
    "usage",
    `--storage ${storage} with --endpoint ${endpoint ?? "left out"} cannot be used: ${result.error.issues[0]!.message}`,
    {
      hint: `Give --storage s3://bucket/prefix and --endpoint http${
        customerKeyFile === undefined ? "" : "s"
      }://host:9000.`,
    },
  );
}

/** The stores of the backup sinks, or of the one that is named. Throws `usage` where there is none. */
export async function openPlaces(config: PipelineConfig, name: string | undefined): Promise<BackupPlace[]> {
  const sinks = Object.entries(config.sinks).filter((entry): entry is [string, BackupSink] =>
    entry[1].type === "backup"
  );
  const chosen = name === undefined ? sinks : sinks.filter(([own]) => own === name);
  const source = config.sources.backup;
  if (chosen.length === 0 && name === undefined && source !== undefined) {
    return [placeOf("sources.backup", await openStore(source.storage), undefined, undefined)];
  }
  if (chosen.length === 0) {
    throw new TidemarkError(
      "usage",
      name === undefined
        ? "The configuration has no sink of type backup"
        : `The configuration has no backup sink ${name}`,
      {
        hint: sinks.length > 0
          ? `It has ${sinks.map(([own]) => own).join(", ")}.`
          : `Give --storage PATH or --storage ${KNOWN_PLACES} instead of --config.`,
      },
    );
  }
  return await Promise.all(
    chosen.map(async ([own, sink]) => placeOf(own, await openStore(sink.storage), sink, config.pipeline)),
  );
}

/** A sentence for each backup sink that encrypts what it writes. */
export function encryptedSinks({ sinks }: Pick<PipelineConfig, "sinks">): string[] {
  return Object.entries(sinks).flatMap(([name, sink]) => {
    if (sink.type !== "backup" || sink.storage.encrypt === undefined) return [];
    const { recipients, passphrase_file, identity_file } = sink.storage.encrypt;
    const whose = passphrase_file !== undefined
      ? "with a key under a passphrase"
      : `for ${recipients?.join(", ") ?? `the keys in ${identity_file}`}`;
    return [
      `Backups of ${name} are encrypted ${whose}: only Tidemark restores them, milvus-backup cannot read them`,
    ];
  });
}

function placeOf(
  label: string,
  store: ObjectStore,
  sink: BackupSink | undefined,
  pipeline: string | undefined,
): BackupPlace {
  return { label, store, sink, pipeline, [Symbol.asyncDispose]: () => store.close() };
}
