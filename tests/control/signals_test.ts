import assert from "node:assert/strict";
import { listenForSignals } from "../../control/signals.ts";
import { Exited, fakeTerminal } from "./fake_terminal.ts";

Deno.test("listenForSignals drains at the first signal and exits at the second", () => {
  for (const [name, status] of [["SIGINT", 130], ["SIGTERM", 143]] as const) {
    const terminal = fakeTerminal();
    using signals = listenForSignals(terminal);
    assert.equal(signals.exitCode, undefined);
    terminal.send(name);
    assert.equal(signals.stop.aborted, true);
    assert.equal(signals.kill.aborted, false);
    assert.equal(signals.exitCode, status);
    assert.match(terminal.stderr, /once more to stop at once/);
    assert.deepEqual(terminal.exits, []);
    assert.throws(() => terminal.send(name), Exited);
    assert.equal(signals.kill.aborted, true);
    assert.deepEqual(terminal.exits, [status]);
  }
});

Deno.test("listenForSignals stops listening when it is disposed", () => {
  const terminal = fakeTerminal();
  listenForSignals(terminal)[Symbol.dispose]();
  terminal.send("SIGINT");
  assert.equal(terminal.stderr, "");
});
