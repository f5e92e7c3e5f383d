/** The catalog kept current key by key: only what a change touches is read again. */
import type { Catalog, CatalogChange, ImportTask } from "../../pipeline/model/mod.ts";
import { toBinary } from "@bufbuild/protobuf";
import { formatJson } from "../../pipeline/json.ts";
import { CollectionSchemaSchema } from "../../pipeline/proto/gen/schema_pb.ts";
import type { Collection } from "../../pipeline/model/mod.ts";
import { type AliasReading, readAliases } from "./aliases.ts";
import {
  catalogOf,
  collectionIds,
  type CollectionReading,
  type DatabasesReading,
  readCollection,
  readDatabases,
} from "./catalog.ts";
import type { CatalogKeys } from "./catalog_keys.ts";

/** A key that changed, relative to the meta root; `value` undefined = it was removed. */
export interface KeyChange {
  readonly key: string;
  readonly value: Uint8Array | undefined;
}

export class CatalogMirror {
  readonly #readings = new Map<bigint, CollectionReading>();
  readonly #prints = new Map<bigint, string>();
  readonly #importStates = new Map<bigint, ImportTask["state"]>();
  #databases: DatabasesReading;
  #databasesPrint: string;
  #aliases: AliasReading;
  #rbacPrint: string;

  /** Takes over `keys` as of some revision. */
  constructor(private readonly keys: CatalogKeys) {
    keys.takeTouched();
    this.#databases = readDatabases(keys);
    this.#databasesPrint = formatJson([...this.#databases.live.values()]);
    this.#aliases = readAliases(keys);
    this.#rbacPrint = formatJson(keys.rbac.build());
    for (const id of collectionIds(keys)) this.#read(id);
    for (const task of keys.imports.all()) this.#importStates.set(task.id, task.state);
  }

  catalog(): Catalog {
    const readings = [...this.#readings.values()].sort((a, b) => a.id < b.id ? -1 : 1);
    return catalogOf(this.keys, this.#databases, readings, this.#aliases);
  }

  /**
   * Takes what one revision changed. Undefined where nothing of it can be seen from outside (a collection being created, a
   * value written again). Throws `damaged`.
   */
  apply(revision: bigint, changes: readonly KeyChange[]): CatalogChange | undefined {
    for (const { key, value } of changes) this.keys.apply(key, value);
    const touched = this.keys.takeTouched();
    let databasesChanged = false;
    if (touched.databases) {
      this.#databases = readDatabases(this.keys);
      const print = formatJson([...this.#databases.live.values()]);
      databasesChanged = print !== this.#databasesPrint;
      this.#databasesPrint = print;
      // A collection is only as alive as its database, and carries its name.
      if (databasesChanged) { for (const id of this.#readings.keys()) touched.collections.add(id); }
    }
    if (changes.some(({ key }) => key.includes("alias"))) this.#aliases = readAliases(this.keys);
    const changed: bigint[] = [];
    const gone: bigint[] = [];
    for (const id of touched.collections) {
      const before = this.#prints.get(id);
      this.#read(id);
      const after = this.#prints.get(id);
      if (after !== undefined && after !== before) changed.push(id);
      if (after === undefined && before !== undefined) gone.push(id);
    }
    const rbacChanged = touched.rbac && this.#rbacMoved();
    const importsCompleted = [...touched.imports].flatMap((id) => this.#completed(id) ?? []);
    const importsUnderWay = [...touched.imports].flatMap((id) => this.keys.imports.get(id) ?? [])
      .filter(({ state }) => state !== "completed");
    const news = changed.length + gone.length + importsCompleted.length + importsUnderWay.length;
    if (news === 0 && !databasesChanged && !rbacChanged) return undefined;
    return {
      revision,
      catalog: this.catalog(),
      changed,
      gone,
      databasesChanged,
      rbacChanged,
      importsCompleted,
      ...importsUnderWay.length === 0 ? {} : { importsUnderWay },
    };
  }

  #read(id: bigint): void {
    const reading = readCollection(this.keys, id, this.#databases, this.#aliases);
    if (reading.state === "orphan" && reading.notLive.length === 0) this.#readings.delete(id);
    else this.#readings.set(id, reading);
    if (reading.collection === undefined) this.#prints.delete(id);
    else this.#prints.set(id, printOf(reading.collection));
  }

  #rbacMoved(): boolean {
    const print = formatJson(this.keys.rbac.build());
    const moved = print !== this.#rbacPrint;
    this.#rbacPrint = print;
    return moved;
  }

  /** The import, where it has just become `completed`. */
  #completed(id: bigint): ImportTask | undefined {
    const task = this.keys.imports.get(id);
    if (task === undefined) return void this.#importStates.delete(id);
    const before = this.#importStates.get(id);
    this.#importStates.set(id, task.state);
    return task.state === "completed" && before !== "completed" ? task : undefined;
  }
}

/** Equal where nothing that can be seen of the collection differs. */
function printOf({ schema, startOffsets: _startOffsets, ...rest }: Collection): string {
  return formatJson([rest, toBinary(CollectionSchemaSchema, schema).toBase64()]);
}
