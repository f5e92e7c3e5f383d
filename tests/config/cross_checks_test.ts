import assert from "node:assert/strict";
import { covers, crossCheck } from "../../config/cross_checks.ts";
import { formatProblem } from "../../config/problem.ts";
import { parseYaml } from "../../config/yaml.ts";

function check(text: string): string[] {
  const { root, problems } = parseYaml(text, "p.yaml");
  assert.deepEqual(problems, []);
  return crossCheck(root!).map(formatProblem);
}

const LIVE = "sources: { meta: {}, log: {}, binlogs: {} }\n";

Deno.test("crossCheck wants meta, log and binlogs, or one backup", () => {
  assert.deepEqual(check(LIVE), []);
  assert.deepEqual(check("sources: { backup: {} }\n"), []);
  assert.deepEqual(check("sources: { meta: {} }\n"), [
    "p.yaml:1:1: Missing `log`, `binlogs` in `sources`: a running Milvus is read from meta, log and binlogs (or give `backup` alone to restore one)",
  ]);
  assert.deepEqual(check("sources: { backup: {}, log: {} }\n"), [
    "p.yaml:1:24: `log` beside `backup` in `sources`: a restore reads one backup and nothing else, a copy reads meta, log and binlogs; remove one",
  ]);
});

Deno.test("crossCheck wants a sink, and no two that write to the same place", () => {
  assert.match(check(`${LIVE}sinks: {}\n`)[0]!, /^p\.yaml:2:1: No sink/);
  assert.deepEqual(
    check(
      `${LIVE}sinks:\n  a: { type: milvus, address: "DR:19530" }\n  b: { type: milvus, address: "http://dr:19530/" }\n`,
    ),
    [
      "p.yaml:4:3: The sinks `a` and `b` write to the same place: they would overwrite each other's rows",
    ],
  );
  const backup = (name: string, path: string) =>
    `{ type: backup, name: ${name}, storage: { type: file, path: ${path} } }`;
  assert.equal(check(`${LIVE}sinks:\n  a: ${backup("n", "/x")}\n  b: ${backup("n", "/x")}\n`).length, 1);
  assert.deepEqual(
    check(`${LIVE}sinks:\n  a: ${backup("n", "/x")}\n  b: ${backup("m", "/x")}\n  c: ${backup("n", "/y")}\n`),
    [],
  );
});

Deno.test("crossCheck refuses a restore into a backup", () => {
  assert.deepEqual(check("sources: { backup: {} }\nsinks: { v: { type: backup } }\n"), [
    "p.yaml:2:21: A restore cannot go into a backup (sink `v`): expected `milvus`",
  ]);
});

Deno.test("crossCheck refuses an import outside of a restore", () => {
  const sink = "sinks: { r: { type: milvus, restore_by: import } }\n";
  assert.deepEqual(check(`${LIVE}${sink}`), [
    "p.yaml:2:41: `restore_by: import` is for a restore (`sources: { backup: … }`); a running Milvus is copied by rows: remove it, or write `auto`",
  ]);
  assert.deepEqual(check(`sources: { backup: {} }\n${sink}`), []);
});

Deno.test("crossCheck wants patterns of the form database.collection", () => {
  const problems = check(`transforms: { select: { include: ["sales", "a.b", "x.y.z", ".a"], exclude: ["a b.c"] } }\n`);
  assert.equal(problems.length, 4);
  assert.match(problems[0]!, /^p\.yaml:1:35: .*did you mean "sales\.\*" \(a whole database\) or "default\.sales"\?$/);
  assert.match(problems[1]!, /^p\.yaml:1:51: "x\.y\.z" is no pattern/);
});

function routes(...rules: [string, string][]): string[] {
  return check(
    `transforms:\n  route:\n${rules.map(([from, to]) => `    - { from: "${from}", to: "${to}" }\n`).join("")}`,
  );
}

Deno.test("crossCheck finds routes that cannot be meant", () => {
  assert.deepEqual(routes(["sales.*", "dr.*"], ["a.b", "c.d"]), []);
  assert.match(
    routes(["sales.*", "dr.all"])[0]!,
    /^p\.yaml:3:30: sales\.\* may be many collections, "dr\.all" is one name/,
  );
  assert.match(routes(["*.items", "dr.items"])[0]!, /collections of many databases/);
  assert.match(routes(["sales.items", "dr.*"])[0]!, /nothing to put there/);
  assert.match(routes(["sales.*", "dr.x?"])[0]!, /"\?"/);
  assert.match(
    routes(["*.*", "x_*.*"], ["sales.*", "dr.*"])[0]!,
    /^p\.yaml:4:15: This rule is never reached: transforms\.route\[0\] \(\*\.\*\) matches first/,
  );
  assert.match(
    routes(["a.b", "x.y"], ["c.d", "x.y"])[0]!,
    /c\.d and a\.b both go to x\.y: two collections cannot become one/,
  );
});

Deno.test("covers tells whether one pattern takes everything that another takes", () => {
  for (
    const [wide, narrow] of [["*.*", "a.b"], ["a.*", "a.b*"], ["a.?", "a.b"], ["a*.*", "a?.x"], ["a.b", "a.b"]] as const
  ) assert.ok(covers(wide, narrow), `${wide} ${narrow}`);
  for (const [wide, narrow] of [["a.b", "*.*"], ["a.?", "a.*"], ["a.b", "a.bc"], ["a$.b", "ab.b"]] as const) {
    assert.ok(!covers(wide, narrow), `${wide} ${narrow}`);
  }
});

Deno.test("crossCheck finds a DDL kind that is both included and excluded, and a state given as a bare path", () => {
  assert.deepEqual(check("transforms: { ddl: { include: [load], exclude: [load, flush] } }\n"), [
    "p.yaml:1:49: `load` is in both include and exclude: keep one",
  ]);
  assert.match(
    check("state: ./state\n")[0]!,
    /^p\.yaml:1:8: To keep the state in a folder, write \{ type: file, path: \.\/state \}/,
  );
});
