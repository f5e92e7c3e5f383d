import assert from "node:assert/strict";
import { readPages, ROOT } from "./pages.ts";
import { shellCommands } from "./shell.ts";

const page = readPages().find(({ path }) => path === "docs/figures.md")!;

/** Bench files that a command runs, and the options that it gives them. */
function benchOf(words: readonly string[]): { files: string[]; options: string[] } {
  const options = words.filter((word) => word.startsWith("--"));
  const file = words.find((word) => word.startsWith("tests/bench/"));
  if (file !== undefined) return { files: [file], options };
  const names = words.slice(words.indexOf("bench") + 1);
  const first = names.findIndex((word) => word.startsWith("--"));
  return { files: names.slice(0, first < 0 ? names.length : first).map((name) => `tests/bench/${name}.ts`), options };
}

Deno.test("figures: every table stands below the command that makes it", () => {
  const made = new Set(page.blocks.filter(({ language }) => language === "sh").map(({ section }) => section));
  assert.deepEqual(page.tables.filter((section) => !made.has(section)), []);
  assert.ok(page.tables.length >= 7);
});

Deno.test("figures: every command runs bench files that exist and know its options", () => {
  const wrong: string[] = [];
  const known = (text: string, option: string) => text.includes(`"${option}"`) || text.includes(`"${option.slice(2)}"`);
  for (const command of page.blocks.flatMap(shellCommands)) {
    const { files, options } = benchOf(command.words);
    if (files.length === 0) wrong.push(`${page.path}:${command.line} runs no bench`);
    for (const file of files) {
      let text = "";
      try {
        text = Deno.readTextFileSync(new URL(file, ROOT));
      } catch {
        wrong.push(`${page.path}:${command.line}: there is no ${file}`);
      }
      wrong.push(
        ...options.filter((option) => text !== "" && !known(text, option)).map((option) => `${file} has no ${option}`),
      );
      for (const variable of Object.keys(command.env)) {
        const read = ["", "replicator.ts", "rig.ts"].some((name) =>
          (name === "" ? text : Deno.readTextFileSync(new URL(`tests/bench/${name}`, ROOT))).includes(`"${variable}"`)
        );
        if (!read) wrong.push(`${file} does not read ${variable}`);
      }
    }
  }
  assert.deepEqual(wrong, []);
});
