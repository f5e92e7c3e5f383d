import assert from "node:assert/strict";
import { Ajv2020 } from "ajv/dist/2020.js";
import { withLateValidators } from "../../../../sources/log/kafka/late_validators.ts";

const core = Object.getPrototypeOf(Ajv2020.prototype) as { compile: unknown };

Deno.test("withLateValidators puts the compiling off to the first call, and what is compiled validates", async () => {
  let compiled = 0;
  const ajv = new Ajv2020();
  ajv.addKeyword({ keyword: "counted", compile: () => (compiled++, () => true) });
  const validate = await withLateValidators(() =>
    Promise.resolve(ajv.compile({ type: "object", required: ["a"], counted: true }))
  );
  assert.equal(compiled, 0);
  assert.equal(validate({ a: 1 }), true);
  assert.equal(validate({}), false);
  assert.equal(validate.errors?.[0]?.params.missingProperty, "a");
  assert.equal(compiled, 1);
});

Deno.test("withLateValidators leaves ajv as it was, also where loading fails", async () => {
  const { compile } = core;
  await withLateValidators(() => Promise.resolve());
  assert.equal(core.compile, compile);
  await assert.rejects(withLateValidators(() => Promise.reject(new Error("not there"))), /not there/);
  assert.equal(core.compile, compile);
});

Deno.test("withLateValidators lets the Kafka client load, and its strict options are checked as ever", async () => {
  const { Consumer } = await withLateValidators(() => import("@platformatic/kafka"));
  const options = { clientId: "a", groupId: "b", bootstrapBrokers: ["127.0.0.1:1"], strict: true };
  await new Consumer(options).close();
  assert.throws(() => new Consumer({ ...options, timeout: -1 }), /timeout/);
});
