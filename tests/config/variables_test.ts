import assert from "node:assert/strict";
import fc from "fast-check";
import { plainValue } from "../../config/document.ts";
import { formatProblem } from "../../config/problem.ts";
import { expandText, expandVariables } from "../../config/variables.ts";
import { parseYaml } from "../../config/yaml.ts";

const environment = (name: string) =>
  ({ HOST: "db", EMPTY: "", PORT: "19530", TRICKY: "a: b\n- ${HOST}" } as Record<string, string>)[name];
const expand = (text: string) => expandText(text, environment);

Deno.test("expandText puts variables in, several and in the middle of text", () => {
  assert.equal(expand("http://${HOST}:${PORT}/x").text, "http://db:19530/x");
  assert.equal(expand("${HOST}").whole, true);
  assert.equal(expand("x${HOST}").whole, false);
});

Deno.test("expandText takes the default where a variable is not set or empty", () => {
  assert.equal(expand("${NONE:-fallback}").text, "fallback");
  assert.equal(expand("${EMPTY:-fallback}").text, "fallback");
  assert.equal(expand("${HOST:-fallback}").text, "db");
  assert.equal(expand("${NONE:-}").text, "");
  assert.equal(expand("${NONE:-${HOST}:1}").text, "db:1");
  assert.equal(expand("${NONE:-root:Milvus}").text, "root:Milvus");
});

Deno.test("expandText gives an empty variable as it is where no default is given", () => {
  assert.deepEqual(expand("${EMPTY}"), { text: "", errors: [], whole: true });
});

Deno.test("expandText says the message of ${VAR:?message}", () => {
  assert.deepEqual(expand("${NONE:?ask the ops team}").errors, [
    "The environment variable NONE is not set: ask the ops team",
  ]);
  assert.deepEqual(expand("${EMPTY:?ask}").errors, ["The environment variable EMPTY is not set: ask"]);
  assert.equal(expand("${HOST:?ask}").text, "db");
});

Deno.test("expandText leaves plain dollar signs alone and turns $$ into one", () => {
  assert.equal(expand("pa$$word").text, "pa$word");
  assert.equal(expand("$5 and $HOST").text, "$5 and $HOST");
  assert.equal(expand("$${HOST}").text, "${HOST}");
  assert.equal(expand("100$").text, "100$");
});

Deno.test("expandText never repeats what stands between broken braces", () => {
  const { errors } = expand("${hunter2 is my secret}");
  assert.equal(errors.length, 1);
  assert.ok(!errors[0]!.includes("hunter2"));
  assert.match(expand("${HOST").errors[0]!, /without its closing/);
});

Deno.test("expandText does not expand what a variable holds, nor let it change the structure", () => {
  assert.equal(expand("${TRICKY}").text, "a: b\n- ${HOST}");
});

Deno.test("expandText undoes $$ for any text", () => {
  fc.assert(fc.property(fc.string(), (text) => assert.equal(expand(text.replaceAll("$", "$$$$")).text, text)));
});

Deno.test("expandVariables lists all missing variables together, each at its place", () => {
  const { root } = parseYaml('a: "${ONE}"\nb: ["${TWO}", "${HOST}"]\nc: "${ONE:-x}"\n', "p.yaml");
  const expanded = expandVariables(root!, environment);
  assert.deepEqual(expanded.problems.map(formatProblem), [
    "p.yaml:1:4: The environment variable ONE is not set: set it, or write ${ONE:-default}",
    "p.yaml:2:5: The environment variable TWO is not set: set it, or write ${TWO:-default}",
  ]);
  assert.deepEqual(JSON.parse(JSON.stringify(plainValue(expanded.root))), { a: "", b: ["", "db"], c: "x" });
});
