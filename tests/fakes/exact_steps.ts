/** What a planned step does to a target in memory. */
import { clone } from "@bufbuild/protobuf";
import { assertNever, TidemarkError } from "../../pipeline/errors.ts";
import type { TargetName } from "../../pipeline/model/mod.ts";
import { ConsistencyLevel } from "../../pipeline/proto/gen/common_pb.ts";
import { type CollectionSchema, CollectionSchemaSchema } from "../../pipeline/proto/gen/schema_pb.ts";
import type { ActualCollection } from "../../sinks/milvus/actual.ts";
import type { Action } from "../../sinks/milvus/plan/collection.ts";
import { type ExactCollection, keyOf } from "./exact_row_sink.ts";

export type { RunnableStep } from "../../sinks/milvus/reconcile/execute.ts";

/** Does an action to the collection of the name `target`. */
export function execution(
  collections: Map<string, ExactCollection>,
  target: TargetName,
  identity: () => string,
): (action: Action) => void {
  const own = (): ExactCollection => {
    const found = collections.get(keyOf(target));
    if (found === undefined) throw new TidemarkError("not_found", `collection not found: ${keyOf(target)}`);
    return found;
  };
  const change = (more: Partial<ActualCollection>) => {
    const found = own();
    found.actual = { ...found.actual, ...more };
  };
  const without = (pairs: Readonly<Record<string, string>>, keys: readonly string[]) =>
    Object.fromEntries(Object.entries(pairs).filter(([key]) => !keys.includes(key)));
  const execute = (action: Action): void => {
    switch (action.do) {
      case "create_collection":
        return void collections.set(keyOf(target), {
          identity: identity(),
          partitions: new Map(),
          actual: {
            id: 1n,
            schema: withNestedNames(action.schema),
            shards: action.shards,
            consistency: action.consistency,
            properties: action.properties,
            partitions: action.partitionCount === 0
              ? ["_default"]
              : Array.from({ length: action.partitionCount }, (_, i) => `_default_${i}`),
            aliases: [],
            indexes: [],
            load: undefined,
          },
        });
      case "rename": {
        const moved = collections.get(keyOf(action.from));
        if (moved === undefined) throw new TidemarkError("not_found", `collection not found: ${keyOf(action.from)}`);
        collections.delete(keyOf(action.from));
        return void collections.set(keyOf(target), moved);
      }
      case "add_field": {
        const { schema } = own().actual;
        return change({ schema: { ...schema, fields: [...schema.fields, action.field] } });
      }
      case "alter_field": {
        const { schema } = own().actual;
        const fields = schema.fields.map((field) => {
          if (field.name !== action.field) return field;
          const set = Object.entries(action.set).map(([key, value]) => ({
            $typeName: "milvus.proto.common.KeyValuePair" as const,
            key,
            value,
          }));
          const kept = field.typeParams.filter(({ key }) => !(key in action.set));
          return { ...field, typeParams: [...kept, ...set] };
        });
        return change({ schema: { ...schema, fields } });
      }
      case "alter_collection": {
        const { "collection.description": description, consistency_level, ...set } = action.set;
        const { schema, properties } = own().actual;
        if (description !== undefined) change({ schema: { ...schema, description } });
        if (consistency_level !== undefined) {
          change({ consistency: ConsistencyLevel[consistency_level as keyof typeof ConsistencyLevel] });
        }
        return change({ properties: { ...without(properties, action.remove), ...set } });
      }
      case "create_partition":
        return change({ partitions: [...own().actual.partitions, action.partition] });
      case "create_index": {
        const { index } = action;
        const { name, fieldName, params } = index;
        return change({ indexes: [...own().actual.indexes, { name, fieldName, params, id: `${index.id}` }] });
      }
      case "drop_index":
        return change({ indexes: own().actual.indexes.filter(({ name }) => name !== action.name) });
      case "alter_index":
        return change({
          indexes: own().actual.indexes.map((index) =>
            index.name === action.name
              ? { ...index, params: { ...without(index.params, action.remove), ...action.set } }
              : index
          ),
        });
      case "create_alias":
      case "alter_alias":
      case "drop_alias":
        for (const [key, found] of collections) {
          if (!key.startsWith(`${target.db}/`)) continue;
          const { aliases } = found.actual;
          found.actual = { ...found.actual, aliases: aliases.filter((alias) => alias !== action.alias) };
        }
        if (action.do === "drop_alias") return;
        return change({ aliases: [...own().actual.aliases, action.alias] });
      case "load": {
        const { load, partitions } = own().actual;
        const names = action.partitions.length === 0 ? partitions : [...load?.partitions ?? [], ...action.partitions];
        return change({ load: { loaded: true, partitions: [...new Set(names)], replicas: action.replicas } });
      }
      case "release": {
        const { load } = own().actual;
        const left = (load?.partitions ?? []).filter((name) => !action.partitions.includes(name));
        const none = action.partitions.length === 0 || left.length === 0;
        return change({ load: none || load === undefined ? undefined : { ...load, partitions: left } });
      }
      case "sequence":
        for (const one of action.actions) execute(one);
        return;
      // It refuses no load.
      case "first_of":
        return execute(action.actions[0]!);
      case "with_way_back":
        return execute(action.action);
      case "impossible":
        throw new TidemarkError("refused", action.reason);
      default:
        assertNever(action);
    }
  };
  return execute;
}

/** As a server stores it: fields of an array of structs are named after the array, too. */
function withNestedNames(asked: CollectionSchema): CollectionSchema {
  const schema = clone(CollectionSchemaSchema, asked);
  for (const { name, fields } of schema.structArrayFields) {
    for (const field of fields) field.name = `${name}[${field.name}]`;
  }
  return schema;
}
