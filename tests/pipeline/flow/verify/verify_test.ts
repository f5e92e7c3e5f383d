import assert from "node:assert/strict";
import type { FlowDependencies } from "../../../../pipeline/flow/mod.ts";
import { verifyRun } from "../../../../pipeline/flow/verify/mod.ts";
import { openFilesLog } from "../../../../sources/log/files/open.ts";

Deno.test("verifyRun says that there is no log to compare with where the copy follows the files alone", async () => {
  const deps = { log: openFilesLog({ poll: 30_000 }) } as unknown as FlowDependencies;
  const options = { countsOnly: true, names: 0, waitMs: 0, keyValues: 0, repair: false };
  await assert.rejects(async () => await verifyRun(deps, options, new AbortController().signal), {
    code: "config",
    message: /sources\.log is of type files/,
  });
});
