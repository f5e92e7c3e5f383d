/** What a newcomer sees when the program starts for the first time, with nothing fetched yet. */
import assert from "node:assert/strict";
import { ROOT } from "./pages.ts";

interface Lock {
  readonly npm: Readonly<Record<string, { readonly scripts?: boolean }>>;
}

function readJson(path: string): unknown {
  return JSON.parse(Deno.readTextFileSync(new URL(path, ROOT)));
}

Deno.test("deno.json decides about every package with a build script, so that the first start warns of none", () => {
  const { npm } = readJson("deno.lock") as Lock;
  const { allowScripts } = readJson("deno.json") as { allowScripts: { deny: string[] } };
  const scripted = Object.entries(npm).filter(([, { scripts }]) => scripts === true)
    .map(([id]) => `npm:${id.replace(/(?<=.)@.*$/, "")}`);
  assert.ok(scripted.length > 0, "deno.lock marks no package any more: is there another sign of build scripts?");
  assert.deepEqual([...allowScripts.deny].sort(), scripted.sort());
});
