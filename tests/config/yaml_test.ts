import assert from "node:assert/strict";
import { plainValue } from "../../config/document.ts";
import { formatProblem } from "../../config/problem.ts";
import { parseYaml } from "../../config/yaml.ts";

function problems(text: string): string[] {
  return parseYaml(text, "a.yaml").problems.map(formatProblem);
}

Deno.test("parseYaml keeps the position of every key and value", () => {
  const { root } = parseYaml("pipeline: p\nsinks:\n  one: { type: milvus }\n  two:\n    - 1\n    - {a: b}\n", "x.yaml");
  assert.ok(root?.kind === "map");
  const sinks = root.entries.get("sinks")!;
  assert.deepEqual(sinks.keyAt, { file: "x.yaml", line: 2, column: 1 });
  assert.ok(sinks.value.kind === "map");
  const one = sinks.value.entries.get("one")!;
  assert.deepEqual(one.keyAt, { file: "x.yaml", line: 3, column: 3 });
  assert.ok(one.value.kind === "map");
  assert.deepEqual(one.value.entries.get("type")!.value.at, { file: "x.yaml", line: 3, column: 16 });
  const two = sinks.value.entries.get("two")!.value;
  assert.ok(two.kind === "list");
  assert.deepEqual(two.items.map((item) => item.at.line), [5, 6]);
});

Deno.test("parseYaml reads YAML 1.2: yes is text, 0x1f a number, an empty value nothing", () => {
  const { root } = parseYaml("a: yes\nb: 0x1f\nc:\nd: 2.10\ne: 'x'\nf: true\n__proto__: 1\n", "x.yaml");
  assert.ok(root?.kind === "map");
  assert.deepEqual(
    [...root.entries].map(([key, { value }]) => [key, value.kind === "scalar" ? value.value : value.kind]),
    [
      ["a", "yes"],
      ["b", 31],
      ["c", null],
      ["d", 2.1],
      ["e", "x"],
      ["f", true],
      ["__proto__", 1],
    ],
  );
  const number = root.entries.get("d")!.value;
  assert.equal(number.kind === "scalar" && number.source, "2.10");
  assert.deepEqual(Object.keys(plainValue(root) as object).at(-1), "__proto__");
});

Deno.test("parseYaml tolerates a byte order mark, comments and the editor's schema line", () => {
  assert.deepEqual(problems("\uFEFF# yaml-language-server: $schema=./pipeline.schema.json\npipeline: p # name\n"), []);
});

Deno.test("parseYaml says where a key is given twice", () => {
  assert.deepEqual(problems("a: 1\nb: 2\na: 3\n"), [
    "a.yaml:3:1: Duplicate key `a`: each key may be given once in a map",
  ]);
  assert.deepEqual(problems("m: { k: 1, k: 2 }\n"), [
    "a.yaml:1:12: Duplicate key `k`: each key may be given once in a map",
  ]);
});

Deno.test("parseYaml says that tabs, several documents, anchors, aliases, tags and merge keys are not for configuration", () => {
  assert.match(problems("a:\n\tb: 1\n")[0]!, /^a\.yaml:2:1: A tab is used for indentation/);
  assert.match(problems("a: 1\n---\nb: 2\n")[0]!, /^a\.yaml:2:1: More than one document/);
  assert.match(problems("a: &x 1\n")[0]!, /^a\.yaml:1:\d+: Anchors are not supported \(&x\)/);
  assert.match(problems("a: &x 1\nb: *x\n")[1]!, /^a\.yaml:2:4: Aliases are not supported \(\*x\)/);
  assert.match(problems("a: !!str 5\n")[0]!, /^a\.yaml:1:\d+: Tags are not supported/);
  assert.match(problems("<<: { a: 1 }\n")[0]!, /^a\.yaml:1:1: Merge keys \(<<\) are not supported/);
  assert.match(problems("%YAML 1.1\n---\na: yes\n")[0]!, /directives/);
});

Deno.test("parseYaml reports broken syntax with its place", () => {
  assert.match(problems("a: [1, 2\nb: 3\n")[0]!, /^a\.yaml:\d+:\d+: Not valid YAML: /);
  assert.match(problems("a: 'x\n")[0]!, /^a\.yaml:\d+:\d+: Not valid YAML: /);
});

Deno.test("parseYaml wants a map at the top", () => {
  assert.match(problems("")[0]!, /^a\.yaml:1:1: The file is empty/);
  assert.match(problems("# nothing\n")[0]!, /^a\.yaml:1:1: The file is empty/);
  assert.match(problems("- 1\n")[0]!, /^a\.yaml:1:1: Expected a map of keys at the top of the file, got a list/);
  assert.match(problems("hello\n")[0]!, /got a single value/);
  assert.match(problems("? [a, b]\n: 1\n")[0]!, /Expected a plain word as key/);
});
