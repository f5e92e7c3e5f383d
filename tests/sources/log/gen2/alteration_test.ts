/** What the log says of changed collections, against what real servers kept in etcd. */
import assert from "node:assert/strict";
import type { Collection, LoggedAlteration } from "../../../../pipeline/model/mod.ts";
import { altered } from "../../../../sources/backup/altered.ts";
import { recordFacts } from "../../../../sources/log/mod.ts";
import { readCatalog } from "../../../../sources/meta/catalog.ts";
import { CatalogKeys } from "../../../../sources/meta/catalog_keys.ts";
import { readRecording } from "../../../stack/recorded/mod.ts";

const ROOT = "by-dev/meta/";

for (const name of ["2.6.19-kafka-v2", "3.0.0-kafka-v2"]) {
  Deno.test(`recordFacts says of each AlterCollection of ${name} what its collection became, as etcd has it in the end`, () => {
    const { records, revisions } = readRecording(name);
    const alterations = records.flatMap(({ topic, offset, ms, headers, value }): LoggedAlteration[] => {
      const record = { topic, offset: BigInt(offset), timestampMs: BigInt(ms), headers, value };
      const { alteration, collectionId, ts } = recordFacts(record);
      return alteration === undefined ? [] : [{ collectionId: collectionId!, ts, alteration }];
    });
    const keys = new CatalogKeys();
    const born = new Map<bigint, Collection>();
    for (const { changes } of revisions) {
      for (const { key, value } of changes) if (key.startsWith(ROOT)) keys.apply(key.slice(ROOT.length), value);
      for (const one of readCatalog(keys).catalog.collections) if (!born.has(one.id)) born.set(one.id, one);
    }
    const kinds = new Set(alterations.flatMap(({ alteration }) => Object.keys(alteration)));
    assert.deepEqual([...kinds].sort(), ["database", "name", "properties", "schema"]);
    for (const { id, ...now } of readCatalog(keys).catalog.collections) {
      const own = alterations.filter(({ collectionId }) => collectionId === id).sort((a, b) => a.ts < b.ts ? -1 : 1);
      const { dbId, dbName, name, properties, schema } = altered(born.get(id)!, own, 2n ** 63n, false);
      assert.deepEqual({ dbId, dbName, name, properties }, {
        dbId: now.dbId,
        dbName: now.dbName,
        name: now.name,
        properties: now.properties,
      });
      assert.deepEqual([schema.version, schema.fields], [now.schema.version, now.schema.fields], name);
    }
  });
}
