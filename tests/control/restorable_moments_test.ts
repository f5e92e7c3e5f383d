import assert from "node:assert/strict";
import { restorableGaps, restorableMoments } from "../../control/restorable_moments.ts";
import type { Moment, Restorable } from "../../sources/backup/mod.ts";

const at = (iso: string): Moment => ({ ts: 1n, iso });
const gap = (from: string, to: string) => ({ from: at(from), to: at(to), collections: ["default.a", "default.b"] });
const range = (...gaps: Restorable["gaps"]): Restorable => ({ from: at("A"), to: at("Z"), gaps });

Deno.test("restorableMoments names the range and the first gap in it", () => {
  assert.equal(restorableMoments(undefined, "its base only"), "its base only");
  assert.equal(restorableMoments(range(), ""), "any moment from A to Z");
  assert.equal(restorableMoments(range(gap("C", "D")), ""), "any moment from A to Z, except C to D");
  assert.equal(
    restorableMoments(range(gap("C", "D"), gap("E", "F"), gap("G", "H")), ""),
    "any moment from A to Z, except C to D, and 2 more gaps",
  );
});

Deno.test("restorableGaps says of each gap whose log ends before it", () => {
  assert.deepEqual(restorableGaps(undefined), []);
  assert.deepEqual(restorableGaps(range(gap("C", "D"))), [
    "gap      C to D: the log of default.a, default.b ends before it, and only behind it they are known to be dropped",
  ]);
});
