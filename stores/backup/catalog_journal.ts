/**
 * What the catalog was like later than the base: `<name>/catalog/<revision>.json`, one object per change of the source's
 * metadata, whole each time. The log does not tell of new partitions, indexes, aliases or properties; these do.
 */
import { fromBinary, toBinary } from "@bufbuild/protobuf";
import { TidemarkError } from "../../pipeline/errors.ts";
import { formatJson } from "../../pipeline/json.ts";
import type { Catalog, HybridTs, ObjectStore } from "../../pipeline/model/mod.ts";
import { type CollectionSchema, CollectionSchemaSchema } from "../../pipeline/proto/gen/schema_pb.ts";
import { readJsonObject } from "./json_reader.ts";
import { decodeFullMeta } from "./meta_decode.ts";
import { encodeMeta } from "./meta_encode.ts";
import { readText } from "./text.ts";

export interface CatalogEntry {
  readonly revision: bigint;
  /** When the writer saw it, as a hybrid timestamp of its clock. */
  readonly ts: HybridTs;
  readonly catalog: Catalog;
}

export const catalogFolder = (name: string): string => `${name}/catalog/`;

export function catalogKey(name: string, revision: bigint): string {
  return `${catalogFolder(name)}${revision.toString().padStart(20, "0")}.json`;
}

export function encodeCatalogEntry(name: string, { revision, ts, catalog }: CatalogEntry): string {
  const meta = encodeMeta({
    id: "",
    name,
    milvusVersion: "",
    backupTs: ts,
    format: "",
    databases: catalog.databases,
    rbac: catalog.rbac,
    collections: catalog.collections.map((collection) => ({
      collection,
      segments: [],
      checkpoints: new Map(),
      backupTs: 0n,
    })),
  }).full_meta;
  const schemas = catalog.collections.map(({ id, schema, startOffsets, partitions }) => ({
    id,
    schema: toBinary(CollectionSchemaSchema, schema).toBase64(),
    startOffsets: Object.fromEntries(startOffsets),
    partitionTs: createdOf(partitions),
  }));
  return formatJson({ tidemark_catalog: 1, revision, ts, meta, schemas });
}

/** Times of creation, which milvus-backup's metadata has no place for. */
function createdOf(items: readonly { readonly id: bigint; readonly createTs: HybridTs }[]): Record<string, HybridTs> {
  return Object.fromEntries(items.map(({ id, createTs }) => [id, createTs]));
}

/** Throws `damaged`. */
export function decodeCatalogEntry(text: string, what: string): CatalogEntry {
  const json = readJsonObject(text, what);
  const meta = decodeFullMeta(json.text("meta"), what);
  const schemas = new Map(
    json.list("schemas").map((item) => {
      const offsets = item.object("startOffsets");
      const startOffsets = new Map(item.keysOf("startOffsets").map((key) => [key, offsets!.int(key)]));
      const schema = schemaFromBytes(item.bytes("schema"), what);
      return [item.int("id"), { schema, startOffsets, partitionTs: item.object("partitionTs") }] as const;
    }),
  );
  return {
    revision: json.int("revision"),
    ts: json.int("ts"),
    catalog: {
      databases: meta.databases,
      collections: meta.collections.map(({ collection }) => {
        const known = schemas.get(collection.id);
        if (known === undefined) return collection;
        const partitions = collection.partitions.map((partition) => ({
          ...partition,
          createTs: known.partitionTs?.int(`${partition.id}`) ?? 0n,
        }));
        return { ...collection, schema: known.schema, startOffsets: known.startOffsets, partitions };
      }),
      rbac: meta.rbac ?? { users: [], roles: [], grants: [], privilegeGroups: [] },
      notLive: [],
    },
  };
}

/** All entries of a backup, by revision. */
export async function readCatalogJournal(
  store: ObjectStore,
  name: string,
  signal?: AbortSignal,
): Promise<CatalogEntry[]> {
  const entries: CatalogEntry[] = [];
  for await (const { key } of store.list(catalogFolder(name), signal)) {
    entries.push(decodeCatalogEntry(await readText(store, key, signal), key));
  }
  return entries;
}

/** Throws `damaged`. */
export function schemaFromBytes(bytes: Uint8Array, what: string): CollectionSchema {
  try {
    return fromBinary(CollectionSchemaSchema, bytes);
  } catch (cause) {
    throw new TidemarkError("damaged", `${what} has a schema that is no CollectionSchema`, { cause });
  }
}
