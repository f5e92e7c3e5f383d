import assert from "node:assert/strict";
import { Permits } from "../../../../sources/log/pulsar/permits.ts";
import { messageOf } from "./messages.ts";

const WINDOW = 1 << 20;

function message(bytes: number, batch?: number): Uint8Array {
  return messageOf(batch === undefined ? {} : { numMessagesInBatch: batch }, new Uint8Array(bytes));
}

Deno.test("Permits begins with one message and grows to what fits", () => {
  const permits = new Permits(WINDOW);
  assert.equal(permits.more(0), 1);
  assert.equal(permits.more(0), 0);
  permits.came(message(1000));
  const grants: number[] = [];
  for (let i = 0; i < 8; i++) {
    const count = permits.more(0);
    grants.push(count);
    for (let k = 0; k < count; k++) permits.came(message(1000));
  }
  assert.deepEqual(grants.slice(0, 4), [4, 16, 64, 256]);
  assert.ok(grants[7]! > 900 && grants[7]! <= 1000, grants.join());
});

Deno.test("Permits grants at least one where nothing waits, however large messages are", () => {
  const permits = new Permits(WINDOW);
  assert.equal(permits.more(0), 1);
  permits.came(message(5 * WINDOW));
  assert.equal(permits.more(5 * WINDOW), 0);
  assert.equal(permits.more(0), 1);
});

Deno.test("Permits owes what a batch took more than was granted", () => {
  const permits = new Permits(WINDOW);
  assert.equal(permits.more(0), 1);
  permits.came(message(1000, 10));
  assert.equal(permits.more(0), 4 + 9);
});

Deno.test("Permits forgets a large message after many small ones", () => {
  const permits = new Permits(WINDOW);
  permits.more(0);
  permits.came(message(WINDOW));
  let granted = 0;
  for (let i = 0; i < 600; i++) {
    granted = Math.max(granted, permits.more(0));
    permits.came(message(100));
  }
  assert.ok(granted > 100, `${granted}`);
});
