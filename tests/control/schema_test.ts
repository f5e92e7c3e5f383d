import assert from "node:assert/strict";
import { COMMITTED_SCHEMA, pipelineJsonSchemaText, REFERENCE_PAGE, SERVER_PAGE } from "../../config/mod.ts";
import { schemaCommand, type SourceTree } from "../../control/commands/schema.ts";
import { fakeTerminal } from "./fake_terminal.ts";

/** The committed files, held in memory. */
function treeOf(files: Map<string, string>): SourceTree {
  return {
    read: (file) => files.get(file.href)!,
    write: (file, text) => void files.set(file.href, text),
  };
}

function committed(): Map<string, string> {
  return new Map(
    [COMMITTED_SCHEMA, REFERENCE_PAGE, SERVER_PAGE].map((file) => [file.href, Deno.readTextFileSync(file)]),
  );
}

Deno.test("schemaCommand prints the schema", () => {
  const terminal = fakeTerminal();
  assert.equal(schemaCommand(terminal, { check: false, write: false }), 0);
  assert.equal(terminal.stdout, pipelineJsonSchemaText());
});

Deno.test("schemaCommand with check names the files that are out of date, and passes where none is", () => {
  const files = committed();
  assert.equal(schemaCommand(fakeTerminal(), { check: true, write: false, tree: treeOf(files) }), 0);
  files.set(REFERENCE_PAGE.href, files.get(REFERENCE_PAGE.href)!.replace("`pipeline` ", "`pipelines` "));
  assert.throws(
    () => schemaCommand(fakeTerminal(), { check: true, write: false, tree: treeOf(files) }),
    (error: Error & { code?: string }) =>
      error.code === "config" && error.message === "docs/configuration.md: not what the specs say",
  );
});

Deno.test("schemaCommand with write makes them anew, and refuses a page without its mark", () => {
  const files = committed();
  const right = new Map(files);
  files.set(COMMITTED_SCHEMA.href, "{}");
  files.set(REFERENCE_PAGE.href, files.get(REFERENCE_PAGE.href)!.replace("`pipeline` ", "`pipelines` "));
  files.set(SERVER_PAGE.href, files.get(SERVER_PAGE.href)!.replace("`cdc.sources` ", "`cdc.source` "));
  const terminal = fakeTerminal();
  assert.equal(schemaCommand(terminal, { check: false, write: true, tree: treeOf(files) }), 0);
  assert.deepEqual(files, right);
  assert.match(terminal.stderr, /^Written: config\/pipeline.schema.json, docs\/configuration.md, docs\/server.md\n$/);
  files.set(REFERENCE_PAGE.href, "# Nothing\n");
  assert.throws(
    () => schemaCommand(fakeTerminal(), { check: false, write: true, tree: treeOf(files) }),
    /docs\/configuration.md has lost the line/,
  );
});
