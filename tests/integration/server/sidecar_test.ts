/** A run with a server of its own beside it: a real etcd without collections, a backup into a folder. */
import assert from "node:assert/strict";
import { connectEtcd } from "../../../stores/mod.ts";
import { receiver } from "../../control/server/receiver.ts";
import { eventually } from "../../stack/eventually.ts";
import { OwnEtcd } from "../stores/etcd_process.ts";
import { listenToEvents } from "./event_client.ts";

const MAIN = new URL("../../../main.ts", import.meta.url).pathname;
const SECRET = `whsec_${btoa("a-secret-of-the-test")}`;

/** What a Milvus whose only content is its user has in etcd. */
async function emptySource(etcd: OwnEtcd): Promise<void> {
  await etcd.start();
  await using client = connectEtcd({ endpoints: [etcd.address] });
  await client.put("by-dev/meta/root-coord/credential/users/root", JSON.stringify({ username: "root", password: "x" }));
}

interface Run extends AsyncDisposable {
  readonly log: () => string;
  /** Undefined while it runs. */
  readonly code: () => number | undefined;
  /** Tells it to end. */
  stop(): Promise<number>;
}

async function startRun(folder: string, file: object): Promise<Run> {
  const path = `${folder}/pipeline.yaml`;
  await Deno.writeTextFile(path, JSON.stringify(file));
  const child = new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "--quiet", "--no-check", MAIN, "run", "--config", path],
    stdout: "null",
    stderr: "piped",
  }).spawn();
  let log = "";
  let code: number | undefined;
  const reading = (async () => {
    const decoder = new TextDecoderStream() as ReadableWritablePair<string, Uint8Array>;
    for await (const text of child.stderr.pipeThrough(decoder)) log += text;
  })();
  const ended = child.status.then((status) => code = status.code);
  const end = async (signal: Deno.Signal): Promise<number> => {
    if (code === undefined) child.kill(signal);
    await ended;
    await reading;
    return code!;
  };
  return {
    log: () => log,
    code: () => code,
    stop: () => end("SIGTERM"),
    [Symbol.asyncDispose]: async () => {
      await end("SIGKILL");
    },
  };
}

Deno.test("run with a server beside it tells a webhook, which fails first, of its backup and of its end by an error, and beats while it is ready", async () => {
  const beats: string[] = [];
  await using heart = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen: () => {} }, (request) => {
    beats.push(`${request.method} ${new URL(request.url).pathname}`);
    return new Response("ok");
  });
  await using there = receiver(SECRET, (before) => before === 0 ? 500 : 200);
  await using etcd = new OwnEtcd();
  await emptySource(etcd);
  const folder = await Deno.makeTempDir({ prefix: "tidemark-sidecar-" });
  await Deno.mkdir(`${folder}/files`);
  const file = (allowEmpty: boolean) => ({
    pipeline: "vaulted",
    sources: {
      meta: { type: "etcd", endpoints: [etcd.address], root_path: "by-dev" },
      log: { type: "files", poll: "1s" },
      binlogs: { type: "file", path: `${folder}/files` },
    },
    transforms: { select: { allow_empty: allowEmpty } },
    sinks: { vault: { type: "backup", storage: { type: "file", path: `${folder}/vault` }, log_archive: false } },
    state: { type: "file", path: `${folder}/state` },
    server: {
      listen: "127.0.0.1:0",
      webhooks: [{ url: there.url, secret: SECRET }],
      heartbeat: { url: `http://127.0.0.1:${heart.addr.port}/beat`, every: "1s" },
    },
  });
  const told = () => there.taken.map(({ body }) => `${body.type} ${body.data.task}: ${body.data.message}`);
  try {
    {
      await using run = await startRun(folder, file(true));
      const progress = { progress: () => `${told().join()} ${beats.length}`, details: run.log };
      await eventually("it listens", () => /Listens at \S+\n/.test(run.log()), progress);
      const url = /Listens at (\S+)/.exec(run.log())![1]!;
      await using events = await listenToEvents(url, 0);
      await eventually("the backup is told", () => told().length === 1, progress);
      assert.match(told()[0]!, /^backup\.done vaulted: vault: a base was completed at /);
      assert.equal(there.attempts[1]!.id, there.attempts[0]!.id, "what was not taken is posted again as the same");
      await eventually("the heart beats", () => beats.length > 1, progress);
      assert.equal(beats[0], "GET /beat");
      const ready = await fetch(`${url}/readyz`);
      assert.equal(ready.status, 200, await ready.text());
      await events.until("its events are heard", (heard) => heard.some(({ type }) => type === "backup.done"));
      const metrics = await (await fetch(`${url}/metrics`)).text();
      assert.match(metrics, /tidemark_notifications_total\{result="failed"\} 1\n/);
      assert.match(metrics, /tidemark_notifications_total\{result="sent"\} 1\n/);
      assert.match(metrics, /tidemark_task_up\{pipeline="vaulted"\} 1\n/);
      assert.equal(await run.stop(), 143, run.log());
      assert.ok(!run.log().includes("/hook") && !run.log().includes("/beat"), run.log());
    }
    assert.equal(told().length, 1, "an end that was asked for is no failure");
    const before = beats.length;
    await Deno.remove(`${folder}/state`, { recursive: true });
    await using run = await startRun(folder, file(false));
    await eventually("it has ended", () => run.code() !== undefined, { progress: run.log });
    assert.equal(run.code(), 10, run.log());
    assert.deepEqual(told().slice(1), [
      "task.failed vaulted: The run ended: Nothing to copy: the source is empty, it has no collection",
    ]);
    assert.equal(beats.length, before, "a run that does not become ready has no heartbeat");
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
