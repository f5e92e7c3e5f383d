import assert from "node:assert/strict";
import { create } from "@bufbuild/protobuf";
import { StatusSchema } from "../../../pipeline/proto/gen/common_pb.ts";
import type { MilvusClient } from "../../../sinks/milvus/client.ts";
import { statusFault } from "../../../sinks/milvus/fault.ts";
import { flushCollection } from "../../../sinks/milvus/flush.ts";

const signal = new AbortController().signal;
const target = { db: "default", name: "a" };

/** Refuses so many flushes with these words. */
function refusing(times: number, reason: string): { readonly client: MilvusClient; readonly asked: string[] } {
  const asked: string[] = [];
  const call = (_method: unknown, _request: unknown, { what }: { readonly what: string }) => {
    asked.push(what);
    if (asked.length <= times) {
      return Promise.reject(statusFault(create(StatusSchema, { code: 65535, errorCode: 1, reason }), what));
    }
    return Promise.resolve({ collSegIDs: {}, flushCollSegIDs: {}, collFlushTs: {}, flushed: true });
  };
  return { client: { call } as unknown as MilvusClient, asked };
}

Deno.test("flushCollection asks again where a server that just started calls it unrecoverable, but not for ever", async () => {
  let pauses = 0;
  const pause = () => Promise.resolve(void pauses++);
  const passing = refusing(3, "unrecoverable error");
  await flushCollection(passing.client, target, pause, signal);
  assert.equal(pauses, 3);
  const lasting = refusing(1000, "unrecoverable error");
  await assert.rejects(flushCollection(lasting.client, target, pause, signal), {
    code: "refused",
    message: "The target refused to flush default.a: unrecoverable error (code 65535)",
  });
  assert.equal(lasting.asked.length, 30);
  const other = refusing(1000, "disk broken: unrecoverable error");
  await assert.rejects(flushCollection(other.client, target, pause, signal), { code: "refused" });
  assert.equal(other.asked.length, 1);
});
