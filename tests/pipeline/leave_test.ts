import assert from "node:assert/strict";
import { leave } from "../../pipeline/leave.ts";

Deno.test("leave waits until an iteration has cleaned up, whether or not that succeeds", async () => {
  const steps: string[] = [];
  async function* numbers(fault?: Error) {
    try {
      for (let i = 0;; i++) yield i;
    } finally {
      await Promise.resolve();
      steps.push(fault === undefined ? "clean" : "failed");
      await (fault === undefined ? undefined : Promise.reject(fault));
    }
  }
  for (const iterator of [numbers(), numbers(new Error("the connection is gone"))]) {
    await iterator.next();
    await leave(iterator);
    assert.equal((await iterator.next()).done, true);
  }
  assert.deepEqual(steps, ["clean", "failed"]);
  await leave({});
});
