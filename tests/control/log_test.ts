import assert from "node:assert/strict";
import { openLog } from "../../control/log.ts";

Deno.test("openLog writes lines of the asked level, with fields, 64-bit integers exact, braces untouched", async () => {
  let text = "";
  {
    await using log = await openLog({ level: "info", json: false, write: (line) => void (text += line) });
    log.debug("not shown");
    log.info("read {position}", { offset: 470597784452279572n });
    log.warning("slow");
  }
  assert.match(text, /^\S+Z INFO {4}read \{position\} offset=470597784452279572\n\S+Z WARNING slow\n$/);
});

Deno.test("openLog writes one JSON object a line on request", async () => {
  let text = "";
  {
    await using log = await openLog({ level: "debug", json: true, write: (line) => void (text += line) });
    log.error("broken\nline", { why: "x" });
  }
  const { time, ...rest } = JSON.parse(text) as Record<string, unknown>;
  assert.match(String(time), /Z$/);
  assert.deepEqual(rest, { level: "error", message: "broken\nline", why: "x" });
});
