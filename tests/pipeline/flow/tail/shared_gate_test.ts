import assert from "node:assert/strict";
import { SharedGate } from "../../../../pipeline/flow/tail/shared_gate.ts";

async function settle(): Promise<void> {
  for (let i = 0; i < 10; i++) await Promise.resolve();
}

Deno.test("SharedGate lets shared work overlap, makes exclusive work wait for it, and later shared work wait for that", async () => {
  const gate = new SharedGate();
  const order: string[] = [];
  const first = Promise.withResolvers<void>();
  const alone = Promise.withResolvers<void>();
  const done = [
    gate.shared(async () => {
      order.push("a");
      await first.promise;
    }),
    gate.shared(() => Promise.resolve(void order.push("b"))),
    gate.exclusive(async () => {
      order.push("alone");
      await alone.promise;
    }),
    gate.shared(() => Promise.resolve(void order.push("c"))),
    gate.shared(() => Promise.resolve(void order.push("d"))),
  ];
  await settle();
  assert.deepEqual(order, ["a", "b"]);
  first.resolve();
  await settle();
  assert.deepEqual(order, ["a", "b", "alone"]);
  alone.resolve();
  await Promise.all(done);
  assert.deepEqual(order, ["a", "b", "alone", "c", "d"]);
});

Deno.test("SharedGate goes on after work that failed", async () => {
  const gate = new SharedGate();
  await assert.rejects(gate.exclusive(() => Promise.reject(new Error("no"))), /no/);
  assert.equal(await gate.shared(() => Promise.resolve(1)), 1);
  assert.equal(await gate.exclusive(() => Promise.resolve(2)), 2);
});
