import assert from "node:assert/strict";
import { parseEnvFile } from "./env.ts";

Deno.test("parseEnvFile keeps everything behind the first equals sign", () => {
  assert.deepEqual(parseEnvFile("# note\nA=1\n\nURI=http://h:1/?a=b\n"), { A: "1", URI: "http://h:1/?a=b" });
});
