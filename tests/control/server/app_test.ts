import assert from "node:assert/strict";
import { loadServerConfig } from "../../../config/mod.ts";
import { answer, createApp } from "../../../control/server/app.ts";
import { createDoors, HEADERS } from "../../../control/server/doors.ts";

Deno.test("createApp refuses a method that it does not know, and gives every answer its headers", async () => {
  const { config } = loadServerConfig(["server.yaml"], { readText: () => "server: {}" });
  const doors = createDoors({ config: config!.server, tokens: () => [], now: () => 0 });
  const answered = new Map<string, number>();
  const app = createApp({ doors, answered, onTrouble: (error) => assert.fail(String(error)) });
  const ask = (method: string) =>
    answer(
      app,
      new Request("http://localhost:8444/openapi.json", { method, headers: { host: "localhost:8444" } }),
      "127.0.0.1",
    );
  const patch = await ask("PATCH");
  assert.equal(patch.status, 405);
  assert.equal(patch.headers.get("allow"), "GET, HEAD, POST, PUT, DELETE");
  assert.equal((await patch.json()).code, "usage");
  const read = await ask("GET");
  for (const [name, value] of Object.entries(HEADERS)) assert.equal(read.headers.get(name), value, name);
  await read.body?.cancel();
  assert.deepEqual([...answered], [["other 405", 1], ["GET 200", 1]]);
});
