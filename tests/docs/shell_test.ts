import assert from "node:assert/strict";
import type { Block } from "./pages.ts";
import { shellCommands } from "./shell.ts";

function block(text: string): Block {
  return { page: "a.md", line: 10, language: "sh", section: "", text };
}

Deno.test("shellCommands splits words as a shell does and leaves remarks out", () => {
  const found = shellCommands(
    block('A=1 B=x tidemark run --until "10m ago"   # ends there\n\n# nothing\nexport C=$(a -b "c")\n'),
  );
  assert.deepEqual(found.map(({ line, env, words }) => ({ line, env, words })), [
    { line: 11, env: { A: "1", B: "x" }, words: ["tidemark", "run", "--until", "10m ago"] },
    { line: 14, env: { C: '$(a -b "c")' }, words: ["export"] },
  ]);
});

Deno.test("shellCommands keeps a quoted text over several lines in one word, and counts its lines", () => {
  const found = shellCommands(block('duckdb -c "select 1\n  from x"\nls'));
  assert.deepEqual(found.map(({ line, words }) => [line, words]), [
    [11, ["duckdb", "-c", "select 1\n  from x"]],
    [13, ["ls"]],
  ]);
});

Deno.test("shellCommands refuses what cannot be pasted", () => {
  assert.throws(() => shellCommands(block("ls\ntidemark backup show <name>")), /a.md:12: cannot be pasted/);
  assert.throws(() => shellCommands(block("MILVUS_CDC=… deno task bench")), /a.md:11: cannot be pasted/);
});
