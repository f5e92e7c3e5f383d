import assert from "node:assert/strict";
import { type MapNode, nodeAt, plainValue } from "../../config/document.ts";
import { overlay, withoutNulls } from "../../config/overlay.ts";
import { parseYaml } from "../../config/yaml.ts";

function tree(text: string, file = "a.yaml"): MapNode {
  return parseYaml(text, file).root as MapNode;
}

function plain(...files: string[]): unknown {
  return JSON.parse(
    JSON.stringify(plainValue(withoutNulls(
      files.map((text, i) => tree(text, `${i}.yaml`)).reduce((a, b) => overlay(a, b) as MapNode),
    ))),
  );
}

Deno.test("overlay merges maps and replaces lists and scalars", () => {
  assert.deepEqual(plain("a: { x: 1, y: [1, 2] }\nb: 1\n", "a: { y: [3] }\nc: 2\n"), {
    a: { x: 1, y: [3] },
    b: 1,
    c: 2,
  });
});

Deno.test("overlay removes what the later file sets to null, and only that", () => {
  assert.deepEqual(plain("a: { x: 1, y: 2 }\nb: 3\n", "a: { x: null }\n", "b: ~\n"), { a: { y: 2 } });
});

Deno.test("overlay brings a removed key back when a third file has it", () => {
  assert.deepEqual(plain("a: 1\n", "a: null\n", "a: { b: 2 }\n"), { a: { b: 2 } });
});

Deno.test("overlay keeps the file of each value", () => {
  const merged = overlay(tree("a: { x: 1, y: 2 }\n", "base.yaml"), tree("a:\n  y: 3\n", "prod.yaml"));
  assert.equal(nodeAt(merged, ["a", "x"])!.at.file, "base.yaml");
  assert.deepEqual(nodeAt(merged, ["a", "y"])!.at, { file: "prod.yaml", line: 2, column: 6 });
});

Deno.test("overlay replaces a map by a scalar and the other way round", () => {
  assert.deepEqual(plain("a: { x: 1 }\nb: 1\n", "a: 2\nb: { y: 1 }\n"), { a: 2, b: { y: 1 } });
});

Deno.test("withoutNulls treats a key without a value as absent", () => {
  assert.deepEqual(plain("a:\nb: { c: , d: 1 }\n"), { b: { d: 1 } });
});
