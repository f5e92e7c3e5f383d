import assert from "node:assert/strict";
import { renderVerify } from "../../control/commands/verify.ts";
import { hybridFromMs } from "../../pipeline/model/mod.ts";
import type { CollectionVerdict, VerifyReport } from "../../pipeline/flow/mod.ts";

const held: CollectionVerdict = {
  sink: "replica",
  source: "default.a",
  target: "default.a",
  verdict: "held",
  expectedRows: null,
  targetRows: null,
  missing: 0,
  extra: 0,
  content: 0,
  unfindable: 0,
  unfindableAtSource: 0,
  keyValues: null,
  heldRows: 0,
  changing: 0,
  expired: 0,
  repaired: null,
  agreed: [],
  examples: [],
  detail: "its channel lost what its checkpoint names",
};
const equal: CollectionVerdict = {
  ...held,
  source: "default.b",
  target: "default.b",
  verdict: "equal",
  expectedRows: 7n,
  targetRows: 7n,
  detail: "",
};

function lines(...collections: CollectionVerdict[]): string[] {
  const ts = hybridFromMs(Date.parse("2026-11-21T14:05:00Z"));
  return renderVerify({ ts, equal: false, collections } as unknown as VerifyReport);
}

Deno.test("renderVerify gives what was not compared no numbers, and its reason, and does not call it equal", () => {
  const both = lines(held, equal);
  assert.match(both.find((line) => line.startsWith("default.a "))!, /held +- +- +- +- +-$/);
  assert.match(both.find((line) => line.startsWith("default.b "))!, /equal +7 +7 +0 +0 +0$/);
  assert.ok(both.includes("default.a: its channel lost what its checkpoint names"));
  assert.equal(both.at(-1), "Equal but for 1 of 2 collections, not compared");
  assert.equal(lines(held).at(-1), "Nothing was compared");
});
