import assert from "node:assert/strict";
import { freePort } from "./free_port.ts";

Deno.test("freePort gives another port each time, below those that Linux gives to connections", () => {
  const ports = Array.from({ length: 100 }, freePort);
  assert.equal(new Set(ports).size, 100);
  assert.ok(ports.every((port) => port >= 10_000 && port < 22_000), `${ports}`);
  using busy = Deno.listen({ hostname: "127.0.0.1", port: ports[0]! });
  assert.equal((busy.addr as Deno.NetAddr).port, ports[0]);
});
