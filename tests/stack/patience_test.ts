import assert from "node:assert/strict";
import { hungAfterMs, patience, PATIENCE_VARIABLE } from "./patience.ts";

Deno.test("patience is measured once, handed on by the environment, and limits grow with it", () => {
  const before = Deno.env.get(PATIENCE_VARIABLE);
  try {
    Deno.env.delete(PATIENCE_VARIABLE);
    assert.ok(patience() >= 1);
    assert.match(Deno.env.get(PATIENCE_VARIABLE)!, /^\d+\.\d\d$/);
    Deno.env.set(PATIENCE_VARIABLE, "5.5");
    assert.ok(patience() >= 5.5 && patience() <= 6);
    assert.ok(hungAfterMs() >= 5.5 * 120_000);
    Deno.env.set(PATIENCE_VARIABLE, "1000");
    assert.equal(patience(), 6);
  } finally {
    if (before === undefined) Deno.env.delete(PATIENCE_VARIABLE);
    else Deno.env.set(PATIENCE_VARIABLE, before);
  }
});
