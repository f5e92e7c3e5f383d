import assert from "node:assert/strict";
import { tidemark } from "../../control/mod.ts";
import { allCommands } from "../docs/command_line.ts";
import { fakeTerminal } from "./fake_terminal.ts";

async function script(shell: string): Promise<string> {
  const terminal = fakeTerminal();
  assert.equal(await tidemark(["completion", shell], terminal), 0, terminal.stderr);
  return terminal.stdout;
}

/** What bash offers for the last of the words. */
async function bash(...words: string[]): Promise<string[]> {
  const text = `${await script("bash")}
COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _tidemark; printf '%s\\n' "\${COMPREPLY[@]}"`;
  const { code, stdout, stderr } = await new Deno.Command("bash", {
    args: ["--norc", "-c", text, "bash", "tidemark", ...words],
    cwd: new URL("../../", import.meta.url).pathname,
  }).output();
  assert.equal(code, 0, new TextDecoder().decode(stderr));
  return new TextDecoder().decode(stdout).split("\n").filter((line) => line !== "");
}

Deno.test("completion bash completes commands, options, their values and files", async () => {
  assert.deepEqual(await bash("ba"), ["backup"]);
  assert.deepEqual(await bash("backup", ""), ["list", "show", "verify", "restore", "prune", "--help"]);
  assert.deepEqual(await bash("backup", "list", "--mo"), ["--moments"]);
  assert.deepEqual(await bash("verify", "--mo"), []);
  assert.deepEqual(await bash("--config", "a.yaml", "run", "--log-level", "w"), ["warning"]);
  assert.deepEqual(await bash("run", "--config", "READ"), ["README.md"]);
  assert.deepEqual(await bash("run", "--until", "1"), []);
  assert.deepEqual(await bash("completion", ""), ["bash", "zsh", "fish", "--help"]);
});

Deno.test("completion knows every command and every option of it, in every shell, and none that is hidden", async () => {
  const scripts = await Promise.all(["bash", "zsh", "fish"].map(script));
  for (const [path, { options }] of allCommands()) {
    for (const [at, text] of scripts.entries()) {
      const last = path.split(" ").at(-1)!;
      assert.ok(text.includes(at === 2 ? `-a ${last} ` : `"${path}")`), `${path} in ${at}`);
      for (const { long, hidden } of options) {
        const word = at === 2 ? `-l ${long!.slice(2)} ` : ` ${long} `;
        assert.equal(text.includes(word), !hidden, `${path} ${long} in ${at}`);
      }
    }
  }
});

Deno.test("completion says which shells there are", async () => {
  const terminal = fakeTerminal();
  assert.equal(await tidemark(["completion", "csh"], terminal), 2);
  assert.match(terminal.stderr, /bash, zsh, fish/);
});
