import assert from "node:assert/strict";
import { createGcPauser } from "../../../sources/binlog/mod.ts";

const signal = new AbortController().signal;

/** A management port that notes what it was asked. */
function server(answer: (path: string) => Response) {
  const asked: string[] = [];
  const tasks: (() => Promise<void>)[] = [];
  const stopped: boolean[] = [];
  const pauser = createGcPauser({
    address: "http://milvus:9091/",
    pauseSecs: 600,
    fetch: async (input) => {
      const url = new URL(String(input));
      asked.push(url.pathname.replace("/management/datacoord/garbage_collection/", "") + url.search);
      return answer(url.pathname);
    },
    every: (ms, task) => {
      assert.equal(ms, 300_000);
      tasks.push(task);
      return () => void stopped.push(true);
    },
  });
  return { pauser, asked, tasks, stopped };
}

Deno.test("createGcPauser pauses, renews and releases", async () => {
  const { pauser, asked, tasks, stopped } = server(() => new Response('{"msg":"OK"}'));
  {
    await using _paused = await pauser.pause(signal);
    await tasks[0]!();
    await tasks[0]!();
  }
  assert.deepEqual(asked, ["pause?pause_seconds=600", "pause?pause_seconds=600", "pause?pause_seconds=600", "resume"]);
  assert.deepEqual(stopped, [true]);
});

Deno.test("createGcPauser gives back the ticket that newer releases ask for", async () => {
  const { pauser, asked } = server(() => new Response('{"msg":"OK","ticket":"a b"}'));
  await (await pauser.pause(signal))[Symbol.asyncDispose]();
  assert.deepEqual(asked, ["pause?pause_seconds=600", "resume?ticket=a%20b"]);
});

Deno.test("createGcPauser goes on without a pause where the release has no route, and check warns", async () => {
  const { pauser, asked, tasks } = server(() => new Response("404 page not found", { status: 404 }));
  await (await pauser.pause(signal))[Symbol.asyncDispose]();
  assert.equal(tasks.length, 0);
  assert.deepEqual(asked, ["pause?pause_seconds=600"]);
  const line = await pauser.check(signal);
  assert.equal(line.ok, "warn");
  assert.match(line.detail, /no route to pause/);
});

Deno.test("createGcPauser says why a pause is not possible", async () => {
  const { pauser } = server(() => new Response("boom", { status: 500 }));
  await assert.rejects(pauser.pause(signal), { code: "refused", message: /answered 500: boom/ });
  const away = createGcPauser({
    address: "http://milvus:9091",
    pauseSecs: 60,
    fetch: () => Promise.reject(new TypeError("refused")),
  });
  await assert.rejects(away.pause(signal), { code: "unreachable", message: /http:\/\/milvus:9091/ });
  assert.equal((await away.check(signal)).ok, "fail");
});
