/** The examples in the docstrings of the core: every public function has one, and every one runs. */
import assert from "node:assert/strict";
import { filesBelow } from "../runner/suites.ts";
import { ROOT } from "./pages.ts";

const FOLDERS = ["pipeline/model", "pipeline/transforms"];

interface Example {
  readonly path: string;
  /** Name of what it stands above. */
  readonly symbol: string;
  readonly code: string;
}

const EXPORTED = /^export (?:async )?(?:function|class) (\w+)/;

/** Examples of one file, as its docstrings have them. */
function examplesOf(path: string, text: string): Example[] {
  return [...text.matchAll(/\/\*\*\n((?: \*.*\n)+?) \*\/\n(.*)/g)].flatMap(([, comment, next]) => {
    const lines = comment!.split("\n").map((line) => line.replace(/^ \* ?/, "")).join("\n");
    const symbol = EXPORTED.exec(next!)?.[1];
    return symbol === undefined
      ? []
      : [...lines.matchAll(/```ts\n([\s\S]*?)```/g)].map(([, code]) => ({ path, symbol, code: code! }));
  });
}

/** Names that a file exports and that other folders can import: by the folder's door, or by the file itself. */
function publicNames(path: string, text: string): string[] {
  const folder = path.slice(0, path.lastIndexOf("/"));
  const door = Deno.readTextFileSync(new URL(`${folder}/mod.ts`, ROOT));
  const file = path.slice(folder.length + 1);
  const listed = new RegExp(`export (\\*|\\{[^}]*\\}) from "\\./${file}"`).exec(door)?.[1];
  const names = [...text.matchAll(new RegExp(EXPORTED, "gm"))].map(([, name]) => name!);
  return names.filter((name) => listed === "*" || new RegExp(`\\b${name}\\b`).test(listed ?? ""));
}

/** Runs an example: its imports are read as from the file that it stands in. */
async function runExample({ path, code }: Example): Promise<void> {
  const absolute = code.replaceAll(
    /(from |import\()"(\.[^"]*)"/g,
    (_, how, to) => `${how}"${new URL(to, new URL(path, ROOT))}"`,
  );
  await import(`data:application/typescript;base64,${new TextEncoder().encode(absolute).toBase64()}`);
}

const files = FOLDERS.flatMap((folder) => filesBelow(folder, ".ts")).map((path) => ({
  path,
  text: Deno.readTextFileSync(new URL(path, ROOT)),
}));
const examples = files.flatMap(({ path, text }) => examplesOf(path, text));

Deno.test("examplesOf reads the code of a docstring and the name below it", () => {
  const text =
    "/**\n * What.\n * @example\n * ```ts\n * one();\n *\n * two();\n * ```\n */\nexport function some() {}\n";
  assert.deepEqual(examplesOf("a.ts", text), [{ path: "a.ts", symbol: "some", code: "one();\n\ntwo();\n" }]);
});

Deno.test("runExample fails where the example does", async () => {
  const code =
    'import assert from "node:assert/strict";\nimport { starsOf } from "./glob.ts";\nassert.equal(starsOf("*"), 2);\n';
  await assert.rejects(
    runExample({ path: "pipeline/transforms/glob.ts", symbol: "starsOf", code }),
    assert.AssertionError,
  );
});

Deno.test("examples: every public function of model and transforms has one, which asserts what it shows", () => {
  const names = files.flatMap(({ path, text }) => publicNames(path, text).map((name) => `${path}: ${name}`));
  const shown = new Set(examples.map(({ path, symbol }) => `${path}: ${symbol}`));
  assert.deepEqual(
    names.filter((name) => !shown.has(name)),
    [],
    "Expected an @example with a block of ts in the docstring",
  );
  assert.ok(names.length >= 20, `only ${names.length} public functions were found`);
  assert.deepEqual(examples.filter(({ code }) => !/\bassert\.\w+\(/.test(code)).map(({ symbol }) => symbol), []);
});

for (const example of examples) {
  Deno.test(`${example.symbol} does what its example shows`, () => runExample(example));
}
