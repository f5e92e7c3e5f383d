import assert from "node:assert/strict";
import { callerOf, mayDo, tokenHash } from "../../../control/server/auth.ts";
import { roleFor } from "../../../control/server/app.ts";
import { createDoors, type DoorsOptions } from "../../../control/server/doors.ts";
import { Fault } from "../../../control/server/fault.ts";
import { loadServerConfig } from "../../../config/mod.ts";

function problems(yaml: string): string[] {
  return loadServerConfig(["server.yaml"], { readText: () => yaml }).problems.map(({ message }) => message);
}

function doors(server: string, more: Partial<DoorsOptions> = {}) {
  const { config } = loadServerConfig(["server.yaml"], { readText: () => `server: ${server}` });
  return createDoors({ config: config!.server, tokens: () => [], now: () => 0, ...more });
}

const status = (act: () => unknown): number => {
  try {
    act();
  } catch (error) {
    return (error as Fault).status;
  }
  return 200;
};

Deno.test("loadServerConfig refuses another than a loopback address without auth and tls, unless it is said to be insecure", () => {
  assert.deepEqual(problems('server: { listen: "127.0.0.1:8444" }'), []);
  assert.deepEqual(problems('server: { listen: "[::1]:8444" }'), []);
  assert.equal(problems('server: { listen: "0.0.0.0:8444" }').length, 2);
  assert.equal(problems('server: { listen: "tidemark.example:8444", tls: { cert_file: a, key_file: b } }').length, 1);
  assert.deepEqual(problems('server: { listen: "0.0.0.0:8444", insecure: true }'), []);
});

Deno.test("loadServerConfig wants each token once, in clear or as its hash", () => {
  assert.equal(problems("server: { auth: { tokens: [ { name: a, role: read } ] } }").length, 1);
  const hash = tokenHash("x");
  assert.deepEqual(problems(`server: { auth: { tokens: [ { name: a, role: read, sha256: "${hash}" } ] } }`), []);
});

Deno.test("createDoors answers under its own names only, so that a name of somebody else that leads here opens nothing", () => {
  const { enter } = doors("{}");
  const from = (host: string) => status(() => enter(new Request("http://x/", { headers: { host } }), "127.0.0.1"));
  assert.deepEqual(
    ["127.0.0.1:8444", "localhost:8444", "[::1]:8444", "evil.example:8444", ""].map(from),
    [200, 200, 200, 421, 421],
  );
  const named = doors("{ hosts: [tidemark.local] }").enter;
  assert.equal(status(() => named(new Request("http://x/", { headers: { host: "tidemark.local" } }), "1")), 200);
});

Deno.test("createDoors refuses what a page of somebody else sends through a browser", () => {
  const { enter } = doors("{}");
  const send = (method: string, origin: string) =>
    status(() => enter(new Request("http://x/", { method, headers: { host: "localhost:8444", origin } }), "1"));
  assert.equal(send("POST", "https://evil.example"), 403);
  assert.equal(send("DELETE", "null"), 403);
  assert.equal(send("POST", "http://localhost:8444"), 200);
  assert.equal(send("GET", "https://evil.example"), 200);
});

Deno.test("createDoors limits the requests of one address and not those of another", () => {
  let now = 0;
  const { enter } = doors("{ requests_per_second: 2 }", { now: () => now });
  const ask = (address: string) =>
    status(() => enter(new Request("http://x/", { headers: { host: "localhost" } }), address));
  assert.deepEqual([1, 2, 3, 4, 5].map(() => ask("a")), [200, 200, 200, 200, 429]);
  assert.equal(ask("b"), 200);
  now = 500;
  assert.deepEqual([ask("a"), ask("a")], [200, 429]);
});

Deno.test("createDoors reads no more of a body than is allowed, whatever its header says", async () => {
  const { body } = doors("{ body_limit: 1KiB }");
  const request = (text: string) => new Request("http://x/", { method: "POST", body: text });
  assert.equal(await body(request("a".repeat(1024))), "a".repeat(1024));
  await assert.rejects(body(request("a".repeat(1025))), (error: Fault) => error.status === 413);
  const endless = new ReadableStream<Uint8Array>({ pull: (controller) => controller.enqueue(new Uint8Array(512)) });
  await assert.rejects(
    body(new Request("http://x/", { method: "POST", body: endless })),
    (error: Fault) => error.status === 413,
  );
  const broken = new Request("http://x/", { method: "POST", body: new Uint8Array([0xff, 0xfe]) });
  await assert.rejects(body(broken), (error: Fault) => error.status === 400);
});

Deno.test("createDoors wants a token that is known and of a role that suffices", () => {
  const known = [{ name: "ann", role: "operate" as const, sha256: tokenHash("t".repeat(20)) }];
  const { requireRole } = doors(`{ auth: { tokens: [ { name: a, role: read, sha256: "${tokenHash("x")}" } ] } }`, {
    tokens: () => known,
  });
  const ask = (authorization: string | undefined, role: "read" | "operate" | "admin") =>
    status(() => requireRole(new Request("http://x/", authorization ? { headers: { authorization } } : {}), role));
  const good = `Bearer ${"t".repeat(20)}`;
  assert.deepEqual([ask(good, "read"), ask(good, "operate"), ask(good, "admin")], [200, 200, 403]);
  for (const wrong of [undefined, "Bearer x", "Basic dDp0", `Bearer ${"t".repeat(21)}`, "Bearer "]) {
    assert.equal(ask(wrong, "read"), 401);
  }
});

Deno.test("callerOf knows a token by its hash, and nobody by an empty one", () => {
  const known = [{ name: "a", role: "read" as const, sha256: tokenHash("secret-token") }, {
    name: "empty",
    role: "admin" as const,
    sha256: tokenHash(""),
  }];
  assert.deepEqual(callerOf("Bearer secret-token", known), { name: "a", role: "read" });
  assert.equal(callerOf("Bearer ", known), undefined);
  assert.equal(callerOf(undefined, known), undefined);
  assert.ok(mayDo({ name: "", role: "admin" }, "operate") && !mayDo({ name: "", role: "read" }, "operate"));
});

Deno.test("roleFor lets nobody in without a role but to what says nothing of any task", () => {
  const open = ["/", "/page/app.js", "/healthz", "/readyz", "/docs", "/openapi.json"];
  for (const path of open) assert.equal(roleFor("GET", path), undefined);
  assert.equal(roleFor("GET", "/api/v1/tasks"), "read");
  assert.equal(roleFor("GET", "/metrics"), "read");
  assert.equal(roleFor("POST", "/cdc"), "read");
  assert.equal(roleFor("POST", "/api/v1/tasks/a/pause"), "operate");
  assert.equal(roleFor("POST", "/api/v1/tasks/a/jobs"), "operate");
  assert.equal(roleFor("DELETE", "/api/v1/jobs/1"), "operate");
  for (const method of ["POST", "PUT", "DELETE", "PATCH"]) assert.equal(roleFor(method, "/api/v1/tasks"), "admin");
  assert.equal(roleFor("GET", "/api/v1/tokens"), "admin");
});
