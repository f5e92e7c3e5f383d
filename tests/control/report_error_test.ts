import assert from "node:assert/strict";
import { describeError, errorObject } from "../../control/report_error.ts";
import { TidemarkError } from "../../pipeline/errors.ts";

Deno.test("describeError prints message, causes and hint, and no stack", () => {
  const root = new Error("connect ECONNREFUSED 10.0.0.1:2379");
  const middle = new Error("14 UNAVAILABLE: connect ECONNREFUSED 10.0.0.1:2379", { cause: root });
  const error = new TidemarkError("unreachable", "No etcd endpoint answers at etcd:2379", {
    hint: "Check sources.meta.endpoints.",
    cause: middle,
  });
  assert.equal(
    describeError(error),
    "Error: No etcd endpoint answers at etcd:2379\n" +
      "  Because: 14 UNAVAILABLE: connect ECONNREFUSED 10.0.0.1:2379\n" +
      "  Hint: Check sources.meta.endpoints.\n",
  );
});

Deno.test("describeError asks for a report where nobody foresaw the error", () => {
  assert.match(
    describeError(new TypeError("x is undefined")),
    /^Error: x is undefined\n {2}Hint: This is probably a bug\. TIDEMARK_DEBUG=1/,
  );
  assert.match(describeError("just text"), /^Error: just text\n/);
});

Deno.test("describeError shows the stack only on request", () => {
  const error = new TidemarkError("refused", "No", { hint: "Yes." });
  assert.ok(!describeError(error).includes("report_error_test.ts"));
  assert.ok(describeError(error, { stack: true }).includes("report_error_test.ts"));
});

Deno.test("describeError does not follow a chain of causes for ever", () => {
  const loop = new Error("a") as Error & { cause?: unknown };
  loop.cause = new Error("b", { cause: loop });
  assert.ok(describeError(loop).split("\n").length < 8);
});

Deno.test("errorObject is the same for scripts", () => {
  assert.deepEqual(errorObject(new TidemarkError("locked", "Held", { hint: "Wait." })), {
    error: { code: "locked", message: "Held", hint: "Wait.", exit: 13 },
  });
});
