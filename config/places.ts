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

/** The store of `--storage`: a folder, or a bucket's URL, with `--endpoint`. Throws `usage`. */
export async function openPlace(storage: string, endpoint: string | undefined): Promise<BackupPlace> {
  return placeOf(storage, await openStore(placeConfig(storage, endpoint)), undefined, undefined);
}

/** The kinds of store by the scheme of their URL. */
const SCHEMES: Readonly<Record<string, { readonly type: "s3" | "azure" | "gcs"; readonly key: string }>> = {
  s3: { type: "s3", key: "bucket" },
  azure: { type: "azure", key: "container" },
  gs: { type: "gcs", key: "bucket" },
};
const KNOWN_PLACES = "s3://bucket/prefix, azure://container/prefix or gs://bucket/prefix";

/** What `--storage` and `--endpoint` mean, as a configuration would say it. The logins are the environment's. */
export function placeConfig(storage: string, endpoint: string | undefined): BackupStorageConfig {
  const [, scheme = "", bucket, prefix = ""] = /^(\w+):\/\/([^/]+)\/?(.*)$/.exec(storage) ?? [];
  const kind = Object.hasOwn(SCHEMES, scheme) ? SCHEMES[scheme] : undefined;
  if (kind === undefined) {
    if (/^[a-z][a-z0-9+.-]*:\/\//i.test(storage) && !storage.startsWith("file://")) {
      throw new TidemarkError("usage", `--storage ${storage} is of no known kind`, {
        hint: `Give a folder, ${KNOWN_PLACES}.`,
      });
    }
    if (endpoint !== undefined) {
      throw new TidemarkError("usage", "--endpoint has no meaning with a folder", {
        hint: `Leave it out, or give --storage ${KNOWN_PLACES}.`,
      });
    }
    return backupStorageSpec.parse({ type: "file", path: storage.replace(/^file:\/\//, "") });
  }
  const parsed = backupStorageSpec.safeParse({
    type: kind.type,
    [kind.key]: bucket,
    prefix: prefix.replace(/\/+$/, ""),
    ...(endpoint === undefined ? {} : { endpoint: /^https?:\/\//.test(endpoint) ? endpoint : `http://${endpoint}` }),
  });
  if (parsed.success) return parsed.data;
  throw new TidemarkError(
    "usage",
    `--storage ${storage} with --endpoint ${endpoint ?? "left out"} cannot be used: ${parsed.error.issues[0]!.message}`,
    {
      hint: "Give --storage s3://bucket/prefix and --endpoint http://host:9000.",
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
