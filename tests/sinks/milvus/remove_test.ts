import assert from "node:assert/strict";
import { TidemarkError } from "../../../pipeline/errors.ts";
import type { RowRefusal } from "../../../pipeline/model/mod.ts";
import { DataType } from "../../../pipeline/proto/gen/schema_pb.ts";
import type { MilvusClient } from "../../../sinks/milvus/client.ts";
import type { Describer } from "../../../sinks/milvus/described.ts";
import { ServerAnswer } from "../../../sinks/milvus/fault.ts";
import { createRemover } from "../../../sinks/milvus/remove.ts";

const { signal } = new AbortController();

/** A server that refuses every delete that names one of `bad`. */
function setup(bad: readonly string[], fault = () => refusal()) {
  const deleted: string[] = [];
  const call = (_method: unknown, { expr }: { expr: string }) => {
    const keys = [...expr.matchAll(/\d+/g)].map(([key]) => key);
    if (keys.some((key) => bad.includes(key))) return Promise.reject(fault());
    deleted.push(...keys);
    return Promise.resolve({});
  };
  const collection = { autoId: false, primaryKeyType: DataType.Int64, primaryKey: "pk", hasPartitionKey: false };
  const describer = { describe: () => Promise.resolve(collection), forget: () => {} } as unknown as Describer;
  const remove = createRemover({ call } as unknown as MilvusClient, describer);
  const keys = { kind: "int64" as const, values: BigInt64Array.from([1n, 2n, 3n, 4n, 5n]) };
  const request = { collectionId: 7n, target: { db: "default", name: "c" }, partition: "p", keys };
  return { remove, request, deleted };
}

function refusal(): TidemarkError {
  return new TidemarkError("refused", "The target refused", { cause: new ServerAnswer("status", 1100, 5, "bad key") });
}

Deno.test("createRemover deletes all keys but those that the target refuses, and names these by their index", async () => {
  const { remove, request, deleted } = setup(["3", "5"]);
  const refused: RowRefusal[] = [];
  await remove({ ...request, refused: (keys) => void refused.push(...keys) }, signal);
  assert.deepEqual(deleted.sort(), ["1", "2", "4"]);
  assert.deepEqual(refused.map(({ row }) => row), [2, 4]);
  assert.match(refused[0]!.reason, /the target says: .*bad key/);
});

Deno.test("createRemover throws where nobody is told, where every key is refused, and what is no refusal of keys", async () => {
  const some = setup(["3"]);
  await assert.rejects(some.remove(some.request, signal), { code: "refused" });
  const all = setup(["1", "2", "3", "4", "5"]);
  await assert.rejects(all.remove({ ...all.request, refused: () => {} }, signal), { code: "refused" });
  const away = setup(["3"], () => new TidemarkError("unreachable", "gone"));
  await assert.rejects(away.remove({ ...away.request, refused: () => {} }, signal), { code: "unreachable" });
});
