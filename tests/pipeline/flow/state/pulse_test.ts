import assert from "node:assert/strict";
import { startPulse } from "../../../../pipeline/flow/state/pulse.ts";
import { Waits } from "../../../../pipeline/waits.ts";

Deno.test("startPulse asks for a checkpoint when somebody begins or ends to wait, and now and then in between", () => {
  const waits = new Waits();
  let touched = 0;
  let look = () => {};
  let stopped = false;
  {
    using _pulse = startPulse({
      waits,
      touch: () => touched++,
      every: (work) => {
        look = work;
        return () => stopped = true;
      },
    });
    look();
    assert.equal(touched, 0);
    const wait = waits.begin({ component: "sinks.a" }, "away 1");
    look();
    assert.equal(touched, 1);
    wait.say("away 2");
    look();
    assert.equal(touched, 1);
    wait[Symbol.dispose]();
    look();
    assert.equal(touched, 2);
    for (let i = 0; i < 20; i++) look();
    assert.equal(touched, 3);
    assert.equal(stopped, false);
  }
  assert.equal(stopped, true);
});
