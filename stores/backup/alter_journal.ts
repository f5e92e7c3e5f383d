/**
 * What collections became, by the records of these changes in the source's log:
 * `<name>/altered/<collection>-<hybrid timestamp>.json`. A note of the catalog counts from when the writer saw it: a run that
 * was down sees a change long after it, and rows of between may have a column that no older note knows.
 */
import { toBinary } from "@bufbuild/protobuf";
import { formatJson } from "../../pipeline/json.ts";
import type { Alteration, HybridTs, LoggedAlteration, ObjectStore } from "../../pipeline/model/mod.ts";
import { CollectionSchemaSchema } from "../../pipeline/proto/gen/schema_pb.ts";
import { schemaFromBytes } from "./catalog_journal.ts";
import { readJsonObject } from "./json_reader.ts";
import { readText } from "./text.ts";

/** An object of the journal, by its key alone. */
export interface AlterationKey {
  readonly key: string;
  readonly collectionId: bigint;
  readonly ts: HybridTs;
}

export const alterationFolder = (name: string): string => `${name}/altered/`;

export async function writeAlteration(
  store: ObjectStore,
  name: string,
  { collectionId, ts, alteration: { schema, ...others } }: LoggedAlteration,
  signal?: AbortSignal,
): Promise<void> {
  const text = formatJson({
    tidemark_alteration: 1,
    ...others,
    ...schema === undefined ? {} : { schema: toBinary(CollectionSchemaSchema, schema).toBase64() },
  });
  await store.put(`${alterationFolder(name)}${collectionId}-${ts}.json`, new TextEncoder().encode(text), {}, signal);
}

/** Other objects in the folder are ignored. */
export async function* listAlterations(
  store: ObjectStore,
  name: string,
  signal?: AbortSignal,
): AsyncIterable<AlterationKey> {
  for await (const { key } of store.list(alterationFolder(name), signal)) {
    const match = /\/(\d+)-(\d+)\.json$/.exec(key);
    if (match !== null) yield { key, collectionId: BigInt(match[1]!), ts: BigInt(match[2]!) };
  }
}

/** Collection -> what it became, in the order of time. Throws `damaged`. */
export async function readAlterations(
  store: ObjectStore,
  name: string,
  signal?: AbortSignal,
): Promise<Map<bigint, LoggedAlteration[]>> {
  const all: LoggedAlteration[] = [];
  for await (const { key, collectionId, ts } of listAlterations(store, name, signal)) {
    const text = await readText(store, key, signal);
    all.push({ collectionId, ts, alteration: decodeAlteration(text, key) });
  }
  return Map.groupBy(all.sort((a, b) => a.ts < b.ts ? -1 : 1), ({ collectionId }) => collectionId);
}

function decodeAlteration(text: string, what: string): Alteration {
  const json = readJsonObject(text, what);
  const database = json.object("database");
  return {
    ...json.has("name") ? { name: json.text("name") } : {},
    ...database === undefined ? {} : { database: { id: database.int("id"), name: database.text("name") } },
    ...json.has("schema") ? { schema: schemaFromBytes(json.bytes("schema"), what) } : {},
    ...json.has("properties") ? { properties: json.map("properties") } : {},
    ...json.has("consistency") ? { consistency: json.small("consistency") } : {},
  };
}
