import assert from "node:assert/strict";
import { firstFailure } from "./first_failure.ts";

Deno.test("firstFailure shows why a test failed, and then what could not be cleaned up", async () => {
  const thrown = await (async () => {
    await using _bucket = { [Symbol.asyncDispose]: () => Promise.reject(new Error("the bucket is away")) };
    await using _folder = { [Symbol.asyncDispose]: () => Promise.reject(new Error("the folder is in use")) };
    throw new Error("rows differ");
  })().catch(firstFailure);
  const { message, stack, cause } = thrown as Error;
  assert.match(message, /^rows differ\n.*the folder is in use[^]*the bucket is away/);
  assert.match(stack!, /first_failure_test/);
  assert.equal((cause as Error).message, "rows differ");
  const plain = new Error("alone");
  assert.equal(firstFailure(plain), plain);
});
