import assert from "node:assert/strict";
import { startPulse } from "../../../../pipeline/flow/state/pulse.ts";

Deno.test("startPulse asks for a checkpoint when somebody begins or ends to wait, and now and then in between", () => {
  const waiting = new Map<string, string>();
  let touched = 0;
  let look = () => {};
  let stopped = false;
  {
    using _pulse = startPulse({
      waiting: () => waiting,
      touch: () => touched++,
      every: (work) => {
        look = work;
        return () => stopped = true;
      },
    });
    look();
    assert.equal(touched, 0);
    waiting.set("sinks.a", "away 1");
    look();
    assert.equal(touched, 1);
    waiting.set("sinks.a", "away 2");
    look();
    assert.equal(touched, 1);
    waiting.delete("sinks.a");
    look();
    assert.equal(touched, 2);
    for (let i = 0; i < 20; i++) look();
    assert.equal(touched, 3);
    assert.equal(stopped, false);
  }
  assert.equal(stopped, true);
});
