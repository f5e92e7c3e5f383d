/** What writing and reading need to know of a target collection, cached until a definition changes. */
import { TidemarkError } from "../../pipeline/errors.ts";
import type { TargetName } from "../../pipeline/model/mod.ts";
import { DataType } from "../../pipeline/proto/gen/schema_pb.ts";
import { METHOD, type MilvusClient } from "./client.ts";
import { nestedName, type TargetField, targetField } from "./client_form.ts";
import { type FieldLimits, fieldLimits } from "./row_check.ts";

export interface DescribedCollection {
  readonly id: bigint;
  readonly primaryKey: string;
  readonly primaryKeyType: DataType.Int64 | DataType.VarChar;
  /** The server makes the keys: the key column is not sent. */
  readonly autoId: boolean;
  readonly hasPartitionKey: boolean;
  /** The field by whose value a query looks into one hash partition. */
  readonly partitionKey: string | undefined;
  readonly hasDynamicField: boolean;
  /** Names of the columns that the server computes. */
  readonly functionOutputs: ReadonlySet<string>;
  /** Every column that can be sent, arrays of structs included; without the dynamic one. */
  readonly columns: ReadonlySet<string>;
  /** Names of the arrays of structs. */
  readonly structs: ReadonlySet<string>;
  /** Of each column but arrays of structs, and of those' fields as `outer[inner]`. */
  readonly fields: ReadonlyMap<string, TargetField>;
  /** Columns of vectors, in the target's order. */
  readonly vectors: readonly string[];
  /** What the schema limits, by column. */
  readonly limits: ReadonlyMap<string, FieldLimits>;
}

export interface Describer {
  /** Throws `not_found` if there is none. */
  describe(target: TargetName, signal: AbortSignal): Promise<DescribedCollection>;
  /** Forgets one, or with undefined all. */
  forget(target?: TargetName): void;
}

/** Vector types are numbered from 100 to 199 in schema.proto. */
export function isVectorType(type: DataType): boolean {
  return type >= 100 && type < 200;
}

export function targetText(target: TargetName): string {
  return `${target.db}.${target.name}`;
}

export function createDescriber(client: MilvusClient): Describer {
  const known = new Map<string, Promise<DescribedCollection>>();
  const keyOf = (target: TargetName): string => JSON.stringify([target.db, target.name]);

  async function ask(target: TargetName, signal: AbortSignal): Promise<DescribedCollection> {
    const answer = await client.call(METHOD.describeCollection, { dbName: target.db, collectionName: target.name }, {
      what: `describe the collection ${targetText(target)}`,
      db: target.db,
      signal,
    });
    const schema = answer.schema;
    const key = schema?.fields.find((field) => field.isPrimaryKey);
    if (schema === undefined || key === undefined) {
      throw new TidemarkError("unsupported", `The target describes ${targetText(target)} without a primary key`);
    }
    if (key.dataType !== DataType.Int64 && key.dataType !== DataType.VarChar) {
      throw new TidemarkError(
        "unsupported",
        `The primary key of ${targetText(target)} on the target has type ${
          DataType[key.dataType]
        }, expected Int64 or VarChar`,
      );
    }
    const user = schema.fields.filter((field) =>
      field.fieldID >= 100n || field.name !== "RowID" && field.name !== "Timestamp"
    );
    const outputs = new Set(schema.functions.flatMap((one) => one.outputFieldNames));
    for (const field of user) if (field.isFunctionOutput) outputs.add(field.name);
    const sendable = user.filter((field) => !field.isDynamic && !outputs.has(field.name));
    return {
      id: answer.collectionID,
      primaryKey: key.name,
      primaryKeyType: key.dataType,
      autoId: key.autoID || schema.autoID,
      hasPartitionKey: schema.fields.some((field) => field.isPartitionKey),
      partitionKey: schema.fields.find((field) => field.isPartitionKey)?.name,
      hasDynamicField: schema.enableDynamicField || schema.fields.some((field) => field.isDynamic),
      functionOutputs: outputs,
      columns: new Set([...sendable, ...schema.structArrayFields].map((field) => field.name)),
      vectors: sendable.filter((field) => isVectorType(field.dataType)).map((field) => field.name),
      structs: new Set(schema.structArrayFields.map(({ name }) => name)),
      fields: new Map([
        ...sendable.map((field) => [field.name, targetField(field)] as const),
        ...schema.structArrayFields.flatMap(({ name: outer, fields }) =>
          fields.map((field) => {
            const name = nestedName(field.name) === undefined ? `${outer}[${field.name}]` : field.name;
            return [name, targetField(field)] as const;
          })
        ),
      ]),
      limits: new Map(sendable.map((field) => [field.name, fieldLimits(field)])),
    };
  }

  function describe(target: TargetName, signal: AbortSignal): Promise<DescribedCollection> {
    const key = keyOf(target);
    const cached = known.get(key);
    if (cached !== undefined) return cached;
    const asked = ask(target, signal);
    known.set(key, asked);
    asked.catch(() => {
      if (known.get(key) === asked) known.delete(key);
    });
    return asked;
  }

  return {
    describe,
    forget: (target) => {
      if (target === undefined) known.clear();
      else known.delete(keyOf(target));
    },
  };
}
