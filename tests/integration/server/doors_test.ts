/** Every door of a server that listens to others, tried from outside: certificates, tokens, names, sizes, places, secrets. */
import assert from "node:assert/strict";
import { eventually } from "../../stack/eventually.ts";
import { makeCertificates } from "../stores/etcd_process.ts";
import { listenToEvents } from "./event_client.ts";
import { pipeline, serverRig, untilState } from "./server_rig.ts";

const ADMIN = "token-of-the-administrator";
const LOOKER = "token-of-whoever-looks";

Deno.test("serve on another than a loopback address speaks TLS only, to known tokens, and tells no secret anywhere", async () => {
  const certificates = await makeCertificates("localhost", "127.0.0.1");
  await Deno.writeFile(`${certificates}/server.key`, crypto.getRandomValues(new Uint8Array(32)));
  const tokens = [{ name: "ann", role: "admin", token: ADMIN }, { name: "bob", role: "read", token: LOOKER }];
  const config = {
    listen: "0.0.0.0:0",
    tls: { cert_file: `${certificates}/server.pem`, key_file: `${certificates}/server-key.pem` },
    auth: { tokens },
    body_limit: "64KiB",
    key_file: `${certificates}/server.key`,
    allowed_hosts: ["127.0.0.1"],
  };
  using client = Deno.createHttpClient({ caCerts: [await Deno.readTextFile(`${certificates}/ca.pem`)] });
  await using rig = await serverRig(`server: ${JSON.stringify(config)}`);
  const server = await rig.start();
  const url = server.url.replace("0.0.0.0", "127.0.0.1");
  const ask = async (method: string, path: string, token: string | undefined, body?: unknown, more = {}) => {
    const response = await fetch(url + path, {
      client,
      method,
      headers: {
        ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
        ...(body === undefined ? {} : { "content-type": "application/json" }),
        ...more,
      },
      ...(body === undefined ? {} : { body: typeof body === "string" ? body : JSON.stringify(body) }),
    });
    return { status: response.status, headers: response.headers, text: await response.text() };
  };
  const status = async (...request: Parameters<typeof ask>) => (await ask(...request)).status;

  assert.ok(url.startsWith("https://"));
  await assert.rejects(fetch(`${url}/healthz`), "its certificate is of an authority that nobody knows");
  await assert.rejects(fetch(`${url.replace("https", "http")}/healthz`), "it speaks no plain text");
  assert.equal(await status("GET", "/healthz", undefined), 200);

  const unknown = await ask("GET", "/api/v1/tasks", undefined);
  assert.deepEqual([unknown.status, JSON.parse(unknown.text).code], [401, "authentication"]);
  assert.match(unknown.headers.get("www-authenticate")!, /^Bearer/);
  assert.equal(await status("GET", "/metrics", "token-of-nobody-at-all"), 401);
  assert.equal(await status("POST", "/api/v1/tasks", LOOKER, { config: pipeline("one") }), 403);
  assert.equal(await status("GET", "/api/v1/tokens", LOOKER), 403);
  assert.equal(await status("POST", "/api/v1/tasks", ADMIN, "x".repeat(65 * 1024)), 413);
  const foreign = { origin: "https://evil.example" };
  assert.equal(await status("POST", "/api/v1/tasks", ADMIN, { config: pipeline("one") }, foreign), 403);

  const page = await ask("GET", "/", undefined);
  assert.match(page.headers.get("content-security-policy")!, /^default-src 'none'; script-src 'self';/);
  assert.deepEqual(
    ["x-content-type-options", "cross-origin-resource-policy", "set-cookie"].map((name) => page.headers.get(name)),
    ["nosniff", "same-origin", null],
  );

  for (
    const [change, pointer] of [
      [{ sinks: { replica: { type: "milvus", address: "169.254.169.254:80" } } }, "/sinks/replica/address"],
      [{ state: { type: "file", path: "/etc" } }, "/state/path"],
      [{ sinks: { vault: { type: "backup", storage: { type: "file", path: "/etc" } } } }, "/sinks/vault/storage/path"],
    ] as const
  ) {
    const refused = await ask("POST", "/api/v1/tasks", ADMIN, { config: pipeline("one", change) });
    assert.equal(refused.status, 422);
    assert.deepEqual(JSON.parse(refused.text).problems.map((one: { pointer: string }) => one.pointer), [pointer]);
  }

  const made = await ask("POST", "/api/v1/tokens", ADMIN, { name: "eve", role: "operate" });
  const { token } = JSON.parse(made.text);
  assert.equal(await status("GET", "/api/v1/tasks", token), 200);
  assert.equal(await status("DELETE", "/api/v1/tasks/one", token), 403);

  assert.equal(await status("POST", "/api/v1/tasks", ADMIN, { config: pipeline("leaky") }), 201);
  await eventually("its process has said what it should not", async () => {
    const { lines } = JSON.parse((await ask("GET", "/api/v1/tasks/leaky/logs", LOOKER)).text);
    return lines.some(({ message }: { message: string }) => message.startsWith("connecting with"));
  });
  await eventually(
    "it is blocked",
    async () => JSON.parse((await ask("GET", "/api/v1/tasks/leaky", LOOKER)).text).state === "blocked",
  );
  const stored = await Deno.readTextFile(`${rig.folder}/state/_server.state.json`);
  const everywhere = [
    stored,
    server.log(),
    ...await Promise.all(
      ["/api/v1/tasks", "/api/v1/tasks/leaky", "/api/v1/tasks/leaky/logs", "/metrics", "/api/v1/tokens"].map(
        async (path) => (await ask("GET", path, ADMIN)).text,
      ),
    ),
    await eventsSoFar(url, client, ADMIN),
  ];
  for (const text of everywhere) {
    assert.ok(!/(secret|token|key)-of-the-test|token-of-(the-admin|whoever)/.test(text), text.slice(0, 2000));
    assert.ok(!text.includes(token));
  }
  assert.equal(await status("DELETE", "/api/v1/tokens/eve", ADMIN), 204);
  assert.equal(await status("GET", "/api/v1/tasks", token), 401);
  await Deno.remove(certificates, { recursive: true });
});

/** Everything that was said until now. */
async function eventsSoFar(url: string, client: Deno.HttpClient, token: string): Promise<string> {
  const leaving = new AbortController();
  const headers = { authorization: `Bearer ${token}`, "last-event-id": "0" };
  const response = await fetch(`${url}/api/v1/events`, { client, headers, signal: leaving.signal });
  let text = "";
  for await (const bytes of response.body!) {
    text += new TextDecoder().decode(bytes);
    if (text.includes("is blocked")) break;
  }
  leaving.abort();
  return text;
}

Deno.test("serve answers under its own names only where everybody may ask: a name of somebody else that leads here opens nothing", async () => {
  await using rig = await serverRig();
  const server = await rig.start();
  const { hostname, port } = new URL(server.url);
  // fetch lets nobody choose the name.
  const ask = async (host: string) => {
    using connection = await Deno.connect({ hostname, port: Number(port) });
    const request = `GET /api/v1/tasks HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`;
    await connection.write(new TextEncoder().encode(request));
    return Number(/^HTTP\/1\.1 (\d+)/.exec(await new Response(connection.readable).text())![1]);
  };
  assert.deepEqual([await ask(`localhost:${port}`), await ask("evil.example")], [200, 421]);
});

Deno.test("events go on where a client was interrupted: none is missed and none said twice, over a restart of the server, too", async () => {
  await using rig = await serverRig();
  let server = await rig.start();
  const post = async (path: string, body?: unknown) => {
    const response = await server.request("POST", path, body);
    assert.ok(response.ok, await response.text());
    if (!response.bodyUsed) await response.body?.cancel();
  };
  const first = await listenToEvents(server.url);
  await post("/api/v1/tasks", { config: pipeline("one") });
  await untilState(server, "one", "running");
  await first.until("it runs", (heard) => heard.some(({ message }) => message === "running"));
  await first[Symbol.asyncDispose]();
  const last = first.heard.at(-1)!.id;
  await post("/api/v1/tasks/one/pause");
  await post("/api/v1/tasks/one/resume");
  await using second = await listenToEvents(server.url, last);
  await second.until(
    "it hears of the pause",
    (heard) => heard.some(({ message }) => message.includes("to be running")),
  );
  await untilState(server, "one", "running");
  await second.until("it runs again", (heard) => heard.at(-1)?.message === "running");
  const ids = [...first.heard, ...second.heard].map(({ id }) => id);
  assert.deepEqual(ids, ids.map((_, at) => ids[0]! + at));

  await server.kill("SIGTERM");
  await eventually("the stream has ended with the server", () => second.ended());
  server = await rig.start();
  await untilState(server, "one", "running");
  await using third = await listenToEvents(server.url, second.heard.at(-1)!.id);
  await third.until("it hears of the start", (heard) => heard.at(-1)?.message === "running");
  assert.deepEqual(third.heard.map(({ type, message }) => [type, message]), [
    ["task.state", "starting"],
    ["task.state", "running"],
  ]);
});
