import assert from "node:assert/strict";
import { completeText } from "../../control/commands/run.ts";
import { hybridFromMs } from "../../pipeline/model/mod.ts";
import type { RunResult } from "../../pipeline/flow/mod.ts";

const upTo = hybridFromMs(Date.parse("2026-11-21T14:05:00Z"));
const none: RunResult = { upTo, blocked: [], refused: [], held: [], basesFailed: [], refusedRows: [] };
const blocked = [{ collection: "default.a", reason: "no" }];
const row = { sink: "replica", collection: "default.b", keys: ["1"], reason: "no" };

Deno.test("completeText says complete only of what is, and names what is not", () => {
  assert.match(completeText(none, 2), /^Complete up to 2026-11-21T14:05:00\.000Z \(\d+\) on all channels$/);
  assert.match(completeText({ ...none, blocked }, 3), /on all channels, but for 1 that is blocked$/);
  assert.match(completeText({ ...none, blocked }, 0), /^Nothing is complete up to .*: every collection is blocked$/);
  const refusedRows = [{ ...row, held: 2, deadLetters: 1 }];
  const held = [{ sink: "vault", reason: "no" }];
  assert.match(completeText({ ...none, held }, 1), /, but for the backup vault, which is held$/);
  assert.match(completeText({ ...none, blocked, refusedRows }, 1), /but for 1 that is blocked and 3 rows that the/);
});
