import assert from "node:assert/strict";
import { pipelineJsonSchema } from "../../config/json_schema.ts";
import { loadConfig } from "../../config/load.ts";
import { loadServerConfig } from "../../config/mod.ts";
import { formatProblem } from "../../config/problem.ts";
import { chainOf, configurationOf, configurationsOf, SHOWN_VARIABLES } from "./configurations.ts";
import { readPages } from "./pages.ts";

const pages = readPages();

Deno.test("configurationOf reads the file's name, and refuses a block without one", () => {
  const block = { page: "a.md", line: 3, language: "yaml", section: "", text: "# b.yaml over a.yaml\nlimits: {}" };
  const { name, over } = configurationOf(block);
  assert.deepEqual([name, over], ["b.yaml", "a.yaml"]);
  assert.throws(() => configurationOf({ ...block, text: "limits: {}" }), /a.md:3: the first line must be/);
});

Deno.test("pages: every configuration lints as it stands, an overlay over the file that it names", () => {
  const found: string[] = [];
  let linted = 0;
  for (const page of pages) {
    const configurations = configurationsOf(page, pages);
    for (const { name, page: from } of configurations.values()) {
      if (from !== page.path) continue;
      const load = name.startsWith("server") ? loadServerConfig : loadConfig;
      const { problems } = load(chainOf(name, configurations), {
        environment: (variable) => SHOWN_VARIABLES[variable],
        readText: (path) => configurations.get(path)!.text,
      });
      found.push(...problems.map((problem) => `${page.path}, ${formatProblem(problem)}`));
      linted++;
    }
  }
  assert.deepEqual(found, []);
  assert.ok(linted >= 7, `only ${linted} configurations were found`);
});

Deno.test("pages: no configuration has a placeholder, and every block is of a language that is checked", () => {
  const holes = pages.flatMap(({ path, blocks }) =>
    blocks.filter(({ text, language }) => language === "yaml" && text.includes("…")).map(({ line }) =>
      `${path}:${line}`
    )
  );
  assert.deepEqual(holes, []);
  const unknown = pages.flatMap(({ path, blocks }) =>
    blocks.filter(({ language }) => !["sh", "yaml", "python", ""].includes(language))
      .map(({ line, language }) => `${path}:${line} is ${language}`)
  );
  assert.deepEqual(unknown, [], "Nothing checks blocks of this language");
});

Deno.test("pages: a key that is named with its place, such as limits.in_flight, exists", () => {
  const wrong: string[] = [];
  let seen = 0;
  for (const { path, inline } of pages.filter((page) => page.path !== "docs/configuration.md")) {
    for (const { line, text } of inline) {
      const key = /^((?:sources|transforms|limits|state)(?:\.\w+)+)(?::.*)?$/.exec(text)?.[1];
      if (key === undefined || key.endsWith(".ts")) continue;
      seen++;
      if (!keyExists(pipelineJsonSchema(), key.split("."))) wrong.push(`${path}:${line}: ${text}`);
    }
  }
  assert.deepEqual(wrong, []);
  assert.ok(seen > 5, `only ${seen} keys were found`);
});

interface Part {
  readonly properties?: Readonly<Record<string, Part>>;
  readonly oneOf?: readonly Part[];
  readonly anyOf?: readonly Part[];
}

/** Whether some type of each map on the way has the next key. */
function keyExists(part: Part, [first, ...rest]: readonly string[]): boolean {
  if (first === undefined) return true;
  const types = [part, ...part.oneOf ?? [], ...part.anyOf ?? []];
  return types.some(({ properties }) => properties?.[first] !== undefined && keyExists(properties[first], rest));
}
