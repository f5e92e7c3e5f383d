/** Deletes by primary key. */
import { TidemarkError } from "../../pipeline/errors.ts";
import type { RemoveRequest, RowRefusal } from "../../pipeline/model/mod.ts";
import { DataType } from "../../pipeline/proto/gen/schema_pb.ts";
import { METHOD, type MilvusClient } from "./client.ts";
import { type Describer, targetText } from "./described.ts";
import { isContentRefusal } from "./fault.ts";
import { keyRanges, keysExpression } from "./key_expression.ts";
import { isolateRows } from "./refused_rows.ts";

/** Measured on 2.3.5: from 1 000 to 10 000 keys a call cost the same, 100 000 take ten times as long. */
export const DELETE_BOUNDS = { maxKeys: 10_000, maxBytes: 2 * 1024 * 1024 } as const;

export type Remover = (request: RemoveRequest, signal: AbortSignal) => Promise<void>;

export function createRemover(client: MilvusClient, describer: Describer): Remover {
  return async function remove(request, signal) {
    if (request.keys.values.length === 0) return;
    const { target, keys } = request;
    const collection = await describer.describe(target, signal);
    if (collection.autoId) {
      throw new TidemarkError(
        "refused",
        `Deletes cannot be carried to ${targetText(target)}: the target makes its own keys there`,
        { hint: "Use auto_id: preserve of the sink and let Tidemark create the collection." },
      );
    }
    const expected = collection.primaryKeyType === DataType.Int64 ? "int64" : "varchar";
    if (keys.kind !== expected) {
      throw new TidemarkError(
        "refused",
        `The primary key of ${targetText(target)} on the target is ${expected}, the deletes have ${keys.kind} keys`,
      );
    }
    const partitionName = collection.hasPartitionKey ? "" : request.partition ?? "";
    const send = async (start: number, end: number) => {
      await client.call(METHOD.delete, {
        dbName: target.db,
        collectionName: target.name,
        partitionName,
        expr: keysExpression(collection.primaryKey, keys, start, end),
      }, { what: `delete ${end - start} keys from ${targetText(target)}`, db: target.db, signal });
    };
    const refused: RowRefusal[] = [];
    for (const { start, end } of keyRanges(keys, DELETE_BOUNDS)) {
      try {
        await send(start, end);
      } catch (error) {
        describer.forget(target);
        if (request.refused === undefined || !isContentRefusal(error)) throw error;
        const found = await isolateRows({
          rows: end - start,
          unfit: () => [],
          send: (part) => send(start + part[0]!, start + part.at(-1)! + 1),
        }, error);
        refused.push(...found.map(({ row, reason }) => ({ row: start + row, reason })));
      }
    }
    if (refused.length > 0) request.refused!(refused);
  };
}
