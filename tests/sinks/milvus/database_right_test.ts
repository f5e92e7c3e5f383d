import assert from "node:assert/strict";
import { TidemarkError } from "../../../pipeline/errors.ts";
import type { MilvusClient } from "../../../sinks/milvus/client.ts";
import { databasesRefused } from "../../../sinks/milvus/database_right.ts";
import { rpcFault } from "../../../sinks/milvus/fault.ts";

const { signal } = new AbortController();

/** What it says where a target answers so; and what it was asked. */
async function answered(answer: () => Promise<never>): Promise<[string | undefined, unknown]> {
  let request: unknown;
  const call = (_method: unknown, asked: unknown) => {
    request = asked;
    return answer();
  };
  return [await databasesRefused({ call } as unknown as MilvusClient, { signal }), request];
}

Deno.test("databasesRefused asks for a database without a name, and takes only the words on the right for a refusal", async () => {
  const denied = rpcFault(7, "PrivilegeCreateDatabase: permission deny to alice in the `default` database", "dr", 1000);
  const [words, request] = await answered(() => Promise.reject(denied));
  assert.match(words!, /does not permit this: PrivilegeCreateDatabase: permission deny/);
  assert.deepEqual(request, { dbName: "" });
  for (
    const other of [
      rpcFault(16, "auth check failure, please check api key is correct", "dr", 1000),
      rpcFault(12, "unknown method CreateDatabase", "dr", 1000),
      rpcFault(8, "request is rejected by grpc RateLimiter middleware", "dr", 1000),
      new TidemarkError("refused", "database name couldn't be empty"),
    ]
  ) {
    assert.equal((await answered(() => Promise.reject(other)))[0], undefined);
  }
  await assert.rejects(answered(() => Promise.reject(new TidemarkError("aborted", "Stopped by request"))));
});
