import assert from "node:assert/strict";
import { request } from "node:http";
import { versionOf } from "../../../control/server/api_write.ts";
import { manyTasks } from "../../fakes/many_tasks.ts";
import { pageServer } from "../../integration/server/page_rig.ts";

/** An answer as it is sent, up to its first bytes or its end. */
function sent(
  url: string,
  { first = false, encodings = "br, gzip" } = {},
): Promise<{ encoding: string | undefined; etag: string | undefined; bytes: number }> {
  const { promise, resolve, reject } = Promise.withResolvers<Awaited<ReturnType<typeof sent>>>();
  const asking = request(url, { agent: false, headers: { "accept-encoding": encodings } }, (answer) => {
    let bytes = 0;
    const end = () => resolve({ encoding: answer.headers["content-encoding"], etag: answer.headers.etag, bytes });
    answer.on("data", (chunk: Uint8Array) => {
      bytes += chunk.length;
      if (!first) return;
      end();
      asking.destroy();
    });
    answer.on("end", end);
  });
  asking.on("error", reject);
  asking.end();
  return promise;
}

Deno.test("listen sends a task of 5000 collections compressed, with an ETag that PUT takes; events as they come", async () => {
  await using server = pageServer(0, () => manyTasks(1, 5000));
  const task = await sent(`${server.url}/api/v1/tasks/blocked-0`);
  assert.equal(task.encoding, "gzip");
  assert.ok(task.bytes > 1000 && task.bytes < 200_000, String(task.bytes));
  assert.equal(task.etag, 'W/"1"');
  assert.equal(versionOf(task.etag), 1);
  const plain = await sent(`${server.url}/api/v1/tasks/blocked-0`, { encodings: "br, gzip;q=0" });
  assert.deepEqual([plain.encoding, plain.etag], [undefined, '"1"']);
  assert.ok(plain.bytes > 5 * task.bytes);
  const page = await sent(`${server.url}/page/app.js`);
  assert.notEqual(page.encoding, undefined);
  const events = await sent(`${server.url}/api/v1/events`, { first: true });
  assert.deepEqual([events.encoding, events.bytes], [undefined, "retry: 2000\n\n".length]);
});
