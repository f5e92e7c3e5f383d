/** A collection as the log says that it was at a moment, where the note of it is older, or later. */
import type { Collection, HybridTs, LoggedAlteration } from "../../pipeline/model/mod.ts";
import type { CollectionSchema } from "../../pipeline/proto/gen/schema_pb.ts";

/**
 * `alterations`: its own, in the order of time; up to a moment that can be restored the log has all of them, so that the last
 * one is right whatever a note says. No clock but the source's is asked. `later`: the collection was first noted behind `ts`.
 */
export function altered(
  collection: Collection,
  alterations: readonly LoggedAlteration[],
  ts: HybridTs,
  later: boolean,
): Collection {
  let now = collection;
  for (const { ts: at, alteration } of alterations) {
    if (at > ts) break;
    const { name, database, schema, properties, consistency } = alteration;
    if (schema !== undefined && isThen(schema, now.schema, later)) now = withSchema(now, schema);
    now = {
      ...now,
      ...name === undefined ? {} : { name },
      ...database === undefined ? {} : { dbId: database.id, dbName: database.name },
      ...properties === undefined ? {} : { properties },
      ...consistency === undefined ? {} : { consistency },
    };
  }
  return now;
}

/**
 * A note that has more is as good: its columns can be null. Before 2.6.5 schemas have no numbers, not every change is in the
 * log, and fields are only added.
 */
function isThen(logged: CollectionSchema, noted: CollectionSchema, later: boolean): boolean {
  if (logged.version > 0) return later || logged.version > noted.version;
  return newestField(logged) > newestField(noted);
}

function newestField({ fields }: CollectionSchema): bigint {
  return fields.reduce((max, { fieldID }) => fieldID > max ? fieldID : max, 0n);
}

/** Nor has it indexes of fields that it does not have then. */
function withSchema(collection: Collection, schema: CollectionSchema): Collection {
  const ids = new Set(
    [...schema.fields, ...schema.structArrayFields.flatMap(({ fields }) => fields)].map(({ fieldID }) => fieldID),
  );
  const { load } = collection;
  return {
    ...collection,
    schema,
    indexes: collection.indexes.filter(({ fieldId }) => ids.has(fieldId)),
    load: load === undefined ? undefined : { ...load, loadFields: load.loadFields.filter((id) => ids.has(id)) },
  };
}
