import assert from "node:assert/strict";
import { TidemarkError, toTidemarkError } from "../../pipeline/errors.ts";

Deno.test("toTidemarkError takes the first of failures that came one after the other while things were given back", async () => {
  const broken = (message: string) => ({ [Symbol.asyncDispose]: () => Promise.reject(new Error(message)) });
  const first = new TidemarkError("position_lost", "The log was removed");
  const thrown = await (async () => {
    await using _client = broken("the client cannot be closed");
    await using _lease = broken("the lease cannot be given back");
    throw first;
  })().catch((error) => error);
  assert.ok(thrown instanceof SuppressedError);
  assert.equal(toTidemarkError(thrown), first);
  const plain = toTidemarkError(new SuppressedError(new Error("later"), new Error("the first")));
  assert.deepEqual([plain.code, plain.message], ["unexpected", "the first"]);
});
