import assert from "node:assert/strict";
import { loadServerConfig } from "../../../config/mod.ts";
import { EventHub } from "../../../control/server/events.ts";
import { startHeartbeat } from "../../../control/server/heartbeat.ts";
import { type NotificationResult, startWebhooks, type WebhooksOptions } from "../../../control/server/webhooks.ts";
import { eventually } from "../../stack/eventually.ts";
import { receiver } from "./receiver.ts";

const SECRET = `whsec_${btoa("a secret of the test, long enough")}`;

function configOf(server: string) {
  const { config, problems } = loadServerConfig(["server.yaml"], { readText: () => `server: ${server}` });
  assert.deepEqual(problems, []);
  return config!.server;
}

function rig(url: string, more: string, options: Partial<WebhooksOptions> = {}) {
  const events = new EventHub(() => new Date());
  const counts = new Map<NotificationResult, number>();
  const lines: string[] = [];
  const say = (message: string) => void lines.push(message);
  const webhooks = startWebhooks({
    webhooks: configOf(`{ webhooks: [ { url: "${url}", secret: "${SECRET}"${more} } ] }`).webhooks,
    events,
    now: () => new Date(),
    log: { warning: say, error: say },
    counts,
    firstMs: 1,
    lastMs: 60_000,
    ...options,
  });
  return { events, counts, lines, webhooks };
}

Deno.test("startWebhooks tells a receiver that fails first every message once, in order, signed, with the same id each time", async () => {
  await using there = receiver(SECRET, (before) => before < 3 ? 500 : 200);
  const { events, counts, lines, webhooks } = rig(there.url, "");
  events.emit("task.blocked", "p", "default.c is blocked: no room");
  events.emit("task.state", "p", "blocked");
  events.emit("task.recovered", "p", "default.c goes on");
  assert.equal(there.attempts.length, 0);
  await eventually("both are taken", () => there.taken.length === 2);
  await webhooks[Symbol.asyncDispose]();
  assert.equal(new Set(there.attempts.slice(0, 4).map(({ id }) => id)).size, 1);
  assert.deepEqual(there.taken.map(({ body }) => [body.type, body.data]), [
    ["task.blocked", { task: "p", message: "default.c is blocked: no room" }],
    ["task.recovered", { task: "p", message: "default.c goes on" }],
  ]);
  assert.ok(Date.parse(there.taken[0]!.body.timestamp) > 0);
  assert.deepEqual(Object.fromEntries(counts), { failed: 3, sent: 2 });
  assert.equal(lines.length, 1);
  assert.match(lines[0]!, /does not take a notification: it answers with status 500/);
});

Deno.test("startWebhooks keeps nobody waiting for a receiver that never answers, and drops what is too much, the oldest first", async () => {
  await using there = receiver(SECRET, () => undefined);
  const { events, counts, lines, webhooks } = rig(there.url, ", events: [task.lag]", { lastMs: 100 });
  for (let at = 0; at < 1005; at++) events.emit("task.lag", "p", `${at}`);
  assert.equal(counts.get("dropped"), 5);
  assert.match(lines[0]!, /was not told task.lag of p \(0\): more than 1000 wait/);
  await eventually("the first is under way", () => there.attempts.length === 1);
  await webhooks[Symbol.asyncDispose]();
  assert.equal((counts.get("sent") ?? 0) + counts.get("dropped")!, 1005);
});

Deno.test("startWebhooks gives up after so long, and says so without the address, which may be a secret", async () => {
  await using there = receiver(SECRET, () => 500);
  let at = Date.now();
  const { events, counts, lines, webhooks } = rig(there.url, ", give_up_after: 1s", { now: () => new Date(at += 600) });
  events.emit("backup.failed", "p", "vault: the bucket is full");
  await eventually("it is dropped", () => counts.get("dropped") === 1);
  await webhooks[Symbol.asyncDispose]();
  assert.match(lines.at(-1)!, /was not told backup.failed of p \(vault: the bucket is full\): .*status 500/);
  assert.ok(lines.every((line) => !line.includes("/hook")));
});

Deno.test("startWebhooks gives what waits a last attempt when the server ends", async () => {
  let up = false;
  await using there = receiver(SECRET, () => up ? 200 : 503);
  const { events, counts, webhooks } = rig(there.url, "", { firstMs: 1 << 30 });
  events.emit("backup.done", "p", "one");
  events.emit("backup.done", "p", "two");
  await eventually("it has failed once", () => counts.get("failed") === 1);
  up = true;
  await webhooks[Symbol.asyncDispose]();
  assert.deepEqual(there.taken.map(({ body }) => body.data.message), ["one", "two"]);
});

Deno.test("startHeartbeat asks its address while all is well, and only then", async () => {
  let beats = 0;
  await using server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen: () => {} }, () => {
    beats++;
    return new Response("ok");
  });
  const { heartbeat } = configOf(`{ heartbeat: { url: "http://127.0.0.1:${server.addr.port}/", every: 1s } }`);
  let asked = 0;
  let reason: string | undefined = "Another server runs the tasks";
  const lines: string[] = [];
  const notReady = () => {
    asked++;
    return reason;
  };
  const log = { warning: (message: string) => void lines.push(message) };
  await using _ = startHeartbeat({ heartbeat: { ...heartbeat!, every: 10 }, notReady, log });
  await eventually("it has looked often", () => asked > 5);
  assert.equal(beats, 0);
  reason = undefined;
  await eventually("it beats", () => beats > 2);
  assert.deepEqual(lines, []);
});

Deno.test("startHeartbeat says once that nobody hears it, without the address", async () => {
  await using server = Deno.serve(
    { hostname: "127.0.0.1", port: 0, onListen: () => {} },
    () => new Response(null, { status: 404 }),
  );
  let asked = 0;
  const lines: string[] = [];
  {
    await using _ = startHeartbeat({
      heartbeat: { url: `http://127.0.0.1:${server.addr.port}/secret-path`, every: 1 },
      notReady: () => void asked++,
      log: { warning: (message) => void lines.push(message) },
    });
    await eventually("it has tried often", () => asked > 5);
  }
  assert.equal(lines.length, 1);
  assert.match(lines[0]!, /status 404/);
  assert.ok(!lines[0]!.includes("secret-path"));
});
