/**
 * What a collection would need beyond the limits that a target's release has by default. Its configuration can say
 * otherwise, and the API does not tell it: `plan` says what may be refused.
 */
import type { Collection } from "../../../pipeline/model/mod.ts";
import type { CollectionSchema, FieldSchema } from "../../../pipeline/proto/gen/schema_pb.ts";
import { isVectorType } from "../described.ts";
import type { Features } from "../features.ts";

interface Limited {
  readonly source: Pick<Collection, "partitions" | "indexes">;
  readonly name: string;
  readonly shards: number;
  /** As it is to be made there. */
  readonly schema: CollectionSchema;
}

/** A phrase for each; empty where everything is within them. */
export function beyondLimits({ source, name, shards, schema }: Limited, { limits, version }: Features): string[] {
  const found: string[] = [];
  const compare = (what: string, has: number, most: number, key: string) => {
    if (has > most) found.push(`${has} ${what}, Milvus ${version} takes ${most} unless its ${key} says more`);
  };
  compare("shards", shards, limits.shards, "proxy.maxShardNum");
  compare("partitions", source.partitions.length, limits.partitions, "rootCoord.maxPartitionNum");
  compare("fields", schema.fields.length + schema.structArrayFields.length, limits.fields, "proxy.maxFieldNum");
  const vectors = schema.fields.filter(({ dataType }) => isVectorType(dataType));
  compare("vector fields", vectors.length, limits.vectorFields, "proxy.maxVectorFieldNum");
  for (const field of vectors) {
    compare(`dimensions of field ${field.name}`, param(field, "dim"), limits.dimension, "proxy.maxDimension");
  }
  const names = [name, ...schema.fields.map((field) => field.name), ...source.partitions.map((one) => one.name)];
  const longest = names.reduce((a, b) => b.length > a.length ? b : a);
  compare(`characters in the name ${longest.slice(0, 24)}…`, longest.length, limits.nameLength, "proxy.maxNameLength");
  for (const field of schema.fields) {
    const longest = param(field, "max_length");
    compare(`bytes as max_length of field ${field.name}`, longest, limits.textLength, "proxy.maxVarCharLength");
  }
  return found;
}

function param({ typeParams }: FieldSchema, key: string): number {
  return Number(typeParams.find((one) => one.key === key)?.value ?? 0);
}
