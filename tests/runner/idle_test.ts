import assert from "node:assert/strict";
import { idleShare, parseTimes } from "./idle.ts";

const STAT = `cpu  1000 10 300 5000 200 0 20 70 900 0
cpu0 500 5 150 2500 100 0 10 35 450 0
intr 1
`;

Deno.test("parseTimes counts waiting for a disk as idle, and what guests take once", () => {
  assert.deepEqual(parseTimes(STAT), { idle: 5200, all: 6600 });
  assert.equal(parseTimes("cpu  1 2 3"), undefined);
  assert.equal(parseTimes(""), undefined);
});

Deno.test("idleShare is the share between two readings", () => {
  assert.equal(idleShare({ idle: 100, all: 1000 }, { idle: 150, all: 1200 }), 0.25);
  assert.equal(idleShare({ idle: 100, all: 1000 }, { idle: 100, all: 1000 }), undefined);
  assert.equal(idleShare(undefined, { idle: 100, all: 1000 }), undefined);
});
