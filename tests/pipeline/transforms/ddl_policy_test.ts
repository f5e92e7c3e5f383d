import assert from "node:assert/strict";
import type { DdlKind, DdlStep } from "../../../pipeline/model/mod.ts";
import { type DdlPolicy, makeDdlRules } from "../../../pipeline/transforms/mod.ts";

function step(kind: DdlKind, destructive = false): DdlStep {
  return { kind, collectionId: 1n, sentence: kind, destructive };
}

const rules = (policy: DdlPolicy, include?: DdlKind[], exclude: DdlKind[] = []) =>
  makeDdlRules({ policy, include, exclude });

Deno.test("makeDdlRules decides by policy: a change, a drop, a refusal", () => {
  const table: [DdlPolicy, string, string, string][] = [
    ["exception", "block", "block", "block"],
    ["evolve", "apply", "apply", "block"],
    ["try_evolve", "apply", "apply", "report"],
    ["lenient", "apply", "skip", "report"],
    ["ignore", "skip", "skip", "block"],
  ];
  for (const [policy, change, drop, refusal] of table) {
    const { decide, onRefusal, allows } = rules(policy);
    assert.equal(decide(step("alter_collection")), change, policy);
    assert.equal(decide(step("drop_partition", true)), drop, policy);
    assert.equal(onRefusal(step("create_index")), refusal, policy);
    assert.equal(allows("truncate_collection"), drop === "apply", policy);
    assert.equal(allows("create_index"), change === "apply", policy);
  }
});

Deno.test("makeDdlRules skips kinds that are excluded or not included, under every policy", () => {
  for (const policy of ["exception", "evolve", "lenient"] as const) {
    assert.equal(rules(policy, undefined, ["create_alias"]).decide(step("create_alias")), "skip");
    assert.equal(rules(policy, ["create_index"]).decide(step("create_alias")), "skip");
    assert.notEqual(rules(policy, ["create_index"]).decide(step("create_index")), "skip");
    assert.equal(rules(policy, ["create_index"], ["create_index"]).decide(step("create_index")), "skip");
  }
});

Deno.test("makeDdlRules drops a database only where that is included by name", () => {
  assert.equal(rules("evolve").decide(step("drop_database", true)), "skip");
  assert.equal(rules("evolve", ["drop_database"]).decide(step("drop_database", true)), "apply");
  assert.equal(rules("lenient", ["drop_database"]).decide(step("drop_database", true)), "skip");
});
