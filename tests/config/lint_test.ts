import assert from "node:assert/strict";
import { z } from "zod";
import { lintDocument } from "../../config/lint.ts";
import { formatProblem } from "../../config/problem.ts";
import { expandVariables } from "../../config/variables.ts";
import { parseYaml } from "../../config/yaml.ts";
import { duration, size } from "../../pipeline/units/mod.ts";

const schema = z.strictObject({
  name: z.string().min(1).describe("Name of it"),
  count: z.int().min(1).max(10).optional().describe("How many"),
  ratio: z.number().optional(),
  on: z.boolean().optional(),
  mode: z.enum(["fast", "slow"]).optional(),
  size: size({ min: 10 }).optional(),
  wait: duration().optional(),
  list: z.array(z.string().min(1)).min(1).optional(),
  secret: z.string().min(8).meta({ secret: true }).describe("The secret").optional(),
  sink: z.discriminatedUnion("type", [
    z.strictObject({
      type: z.literal("a"),
      address: z.string().describe("Where it is"),
      token: z.string().meta({ secret: true }),
    }),
    z.strictObject({ type: z.literal("b"), path: z.string() }),
  ]).optional(),
  either: z.union([z.boolean(), z.strictObject({ users: z.boolean() })]).optional(),
  named: z.record(z.string().regex(/^[a-z]+$/), z.int()).optional(),
});

const environment = (name: string) =>
  ({ COUNT: "5", ON: "true", BAD: "five", RATIO: "-1.5e2", TEXT: "12" } as Record<string, string>)[name];

function lint(text: string): { problems: string[]; value: z.output<typeof schema> | undefined } {
  const parsed = parseYaml(text, "p.yaml");
  assert.deepEqual(parsed.problems, []);
  const { problems, value } = lintDocument(schema, expandVariables(parsed.root!, environment).root);
  return { problems: problems.map(formatProblem), value };
}

function problem(text: string): string {
  const { problems } = lint(text);
  assert.equal(problems.length, 1, problems.join("\n"));
  return problems[0]!;
}

Deno.test("lintDocument finds nothing in a right document and gives the checked value", () => {
  const { problems, value } = lint("name: x\nsize: 1KiB\nwait: 2s\nsink: { type: b, path: /x }\neither: true\n");
  assert.deepEqual(problems, []);
  assert.deepEqual(value, { name: "x", size: 1024, wait: 2000, sink: { type: "b", path: "/x" }, either: true });
});

Deno.test("lintDocument names the unknown key, the one that was meant, and those that are allowed", () => {
  assert.equal(
    problem("name: x\nsink: { type: a, adress: h, address: h, token: t }\n"),
    "p.yaml:2:18: Unknown key `adress` in `sink`: did you mean `address`? Allowed here: type, address, token, token_file",
  );
  assert.match(
    problem("name: x\ncolour: 1\n"),
    /^p\.yaml:2:1: Unknown key `colour`\. Allowed here: name, count, .*secret, secret_file/,
  );
});

Deno.test("lintDocument reports a missing key at its parent, with what it is for", () => {
  assert.equal(problem("count: 1\n"), "p.yaml:1:1: Missing key `name`: name of it");
  assert.equal(
    problem("name: x\nsink: { type: a, token: t }\n"),
    "p.yaml:2:1: Missing key `address` in `sink`: where it is",
  );
  assert.equal(
    problem("name: x\nsink: { type: a, address: h }\n"),
    "p.yaml:2:1: Missing key `token` (or `token_file`) in `sink`",
  );
  assert.equal(problem("name: x\nsink: { path: y }\n"), "p.yaml:2:1: Missing key `type` in `sink`: one of a, b");
});

Deno.test("lintDocument reports a wrong type with what was given, and how to mend it", () => {
  assert.equal(problem("name: 5\n"), 'p.yaml:1:7: `name`: expected text, got the number 5: put it in quotes, "5"');
  assert.equal(
    problem("name: 2.10\n"),
    'p.yaml:1:7: `name`: expected text, got the number 2.10: put it in quotes, "2.10"',
  );
  assert.equal(problem("name: x\ncount: many\n"), 'p.yaml:2:8: `count`: expected a number, got the text "many"');
  assert.equal(problem("name: x\ncount: 1.5\n"), "p.yaml:2:8: `count`: expected a whole number, got the number 1.5");
  assert.equal(problem("name: x\non: yes\n"), 'p.yaml:2:5: `on`: expected true or false, got the text "yes"');
  assert.equal(
    problem("name: x\nlist: one\n"),
    'p.yaml:2:7: `list`: expected a list, got the text "one": put it in brackets, ["one"]',
  );
  assert.equal(problem("name: { a: 1 }\n"), "p.yaml:1:1: `name`: expected text, got a map");
});

Deno.test("lintDocument reports limits in words", () => {
  assert.equal(problem("name: x\ncount: 11\n"), "p.yaml:2:8: `count`: expected at most 10, got the number 11");
  assert.equal(problem("name: x\nlist: []\n"), "p.yaml:2:1: `list`: expected at least 1 entry, got a list");
  assert.equal(problem('name: ""\n'), 'p.yaml:1:7: `name`: expected text that is not empty, got the text ""');
  assert.equal(
    problem("name: x\nsize: big\n"),
    "p.yaml:2:7: `size`: expected a size such as 64MiB, 1.5GiB, 200kB or a number of bytes",
  );
  assert.equal(problem("name: x\nsize: 3\n"), "p.yaml:2:7: `size`: expected at least 10 B");
  assert.equal(
    problem("name: x\nwait: 10\n"),
    'p.yaml:2:7: `wait`: expected text, got the number 10: put it in quotes, "10"',
  );
});

Deno.test("lintDocument lists the words of an enum and guesses", () => {
  assert.equal(
    problem("name: x\nmode: fsat\n"),
    'p.yaml:2:7: `mode`: expected one of fast, slow, got the text "fsat": did you mean `fast`?',
  );
  assert.equal(
    problem("name: x\nsink: { type: c }\n"),
    'p.yaml:2:15: `sink.type`: expected one of a, b, got the text "c"',
  );
  assert.equal(
    problem("name: x\neither: 5\n"),
    "p.yaml:2:9: `either`: expected true or false or a map, got the number 5",
  );
  assert.match(
    problem("name: x\neither: { user: true, users: true }\n"),
    /Unknown key `user` in `either`: did you mean `users`\?/,
  );
});

Deno.test("lintDocument reports a bad name of a map at the name", () => {
  assert.match(
    problem("name: x\nnamed: { ok: 1, NOT_OK: 2 }\n"),
    /^p\.yaml:2:17: The name `NOT_OK` is not allowed: expected text that matches/,
  );
});

Deno.test("lintDocument never shows a secret", () => {
  assert.equal(
    problem("name: x\nsecret: hunter2\n"),
    "p.yaml:2:9: `secret`: expected at least 8 characters, got another text",
  );
  assert.equal(
    problem("name: x\nsecret: 12345678\n"),
    "p.yaml:2:9: `secret`: expected text, got a number: put it in quotes",
  );
});

Deno.test("lintDocument finds all problems at once", () => {
  assert.equal(lint("count: 0\nmode: x\nzzz: 1\nsink: { type: b }\n").problems.length, 5);
});

Deno.test("lintDocument reads a scalar that is one variable as the number or boolean that the schema wants", () => {
  const { problems, value } = lint('name: "${TEXT}"\ncount: ${COUNT}\non: "${ON}"\nratio: ${RATIO}\n');
  assert.deepEqual(problems, []);
  assert.deepEqual(value, { name: "12", count: 5, on: true, ratio: -150 });
});

Deno.test("lintDocument leaves other text as it is: a quoted number is text, a wrong variable a problem", () => {
  assert.equal(problem('name: x\ncount: "5"\n'), 'p.yaml:2:8: `count`: expected a number, got the text "5"');
  assert.equal(problem("name: x\ncount: ${BAD}\n"), "p.yaml:2:8: `count`: expected a number, got what ${BAD} holds");
  assert.equal(
    problem("name: x\ncount: 1${COUNT}\n"),
    "p.yaml:2:8: `count`: expected a number, got what ${COUNT} holds",
  );
});
