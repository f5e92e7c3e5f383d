import assert from "node:assert/strict";
import { EXIT } from "../../pipeline/errors.ts";
import { tidemark } from "../../control/mod.ts";
import { fakeTerminal } from "../control/fake_terminal.ts";
import { filesBelow } from "../runner/suites.ts";
import { allCommands, allOptions, complaint, usageExamples } from "./command_line.ts";
import { chainOf, configurationsOf, SHOWN_VARIABLES } from "./configurations.ts";
import { readPages, ROOT } from "./pages.ts";
import { type ShellCommand, shellCommands } from "./shell.ts";

const pages = readPages();
const shown = pages.flatMap(({ blocks }) => blocks.filter(({ language }) => language === "sh").flatMap(shellCommands));
const tasks = JSON.parse(read("deno.json")).tasks as Record<string, unknown>;

/** What a page may show beside Tidemark: a look into its archive, its container, the etcd of a source, a variable. */
const OTHERS = ["duckdb", "docker", "etcd", "export", "curl"];

/** The start that needs no installation. */
const DENO = ["npx", "-y", "deno@2.9.6"];

function read(path: string): string {
  return Deno.readTextFileSync(new URL(path, ROOT));
}

function place({ page, line }: ShellCommand): string {
  return `${page}:${line}`;
}

/** Arguments of Tidemark if the command starts it in one of the two ways, undefined otherwise. */
function ownArguments(words: readonly string[]): readonly string[] | undefined {
  if (words[0] === "tidemark") return words.slice(1);
  const start = [...DENO, "run", "-A", "main.ts"];
  return start.every((word, at) => words[at] === word) ? words.slice(start.length) : undefined;
}

/** What is wrong with a command that is not Tidemark itself: the task, file or program does not exist. */
function otherComplaint(words: readonly string[]): string | undefined {
  if (OTHERS.includes(words[0]!)) return undefined;
  if (!DENO.every((word, at) => words[at] === word)) return `starts neither with tidemark nor with ${DENO.join(" ")}`;
  const [verb, ...rest] = words.slice(DENO.length);
  const plain = rest.filter((word) => !word.startsWith("-"));
  if (verb === "task") {
    const missing = plain.slice(1).find((word) => word.endsWith(".ts") && !exists(word));
    if (missing !== undefined) return `there is no file ${missing}`;
    return tasks[plain[0]!] === undefined ? `there is no task ${plain[0]}` : undefined;
  }
  if (verb !== "run" && verb !== "test") return `deno ${verb} is nothing that a page needs`;
  return exists(plain[0]!) ? undefined : `there is no file ${plain[0]}`;
}

function exists(path: string): boolean {
  try {
    return Deno.statSync(new URL(path, ROOT)).isFile;
  } catch {
    return false;
  }
}

Deno.test("complaint is the parser's own", async () => {
  assert.equal(await complaint(["--config", "a.yaml", "run", "--once"]), undefined);
  assert.equal(await complaint(["backup", "show", "name", "--storage", "/b"]), undefined);
  assert.match(await complaint(["backup", "show"]) ?? "", /missing required argument/i);
  assert.match(await complaint(["run", "--onec"]) ?? "", /unknown option/i);
  assert.match(await complaint(["run", "--once", "--until", "10m ago"]) ?? "", /cannot be used with/i);
  assert.equal(await complaint(["bakcup"]), "no command bakcup");
});

Deno.test("pages: every command that starts Tidemark is one that its parser takes", async () => {
  const wrong: string[] = [];
  let parsed = 0;
  for (const command of shown) {
    const args = ownArguments(command.words);
    const problem = args === undefined ? otherComplaint(command.words) : await complaint(args);
    if (problem !== undefined) wrong.push(`${place(command)}: ${command.words.join(" ")}: ${problem.trim()}`);
    if (args !== undefined) parsed++;
  }
  for (const { path, inline } of pages) {
    for (const { line, text } of inline) {
      if (!/^(tidemark|task) [^<]/.test(text)) continue;
      const [, ...args] = text.split(" ");
      const problem = text.startsWith("task ") ? otherComplaint([...DENO, ...text.split(" ")]) : await complaint(args);
      if (problem !== undefined) wrong.push(`${path}:${line}: \`${text}\`: ${problem.trim()}`);
    }
  }
  assert.deepEqual(wrong, []);
  assert.ok(parsed > 30, `only ${parsed} commands were found`);
});

Deno.test("pages: a configuration that a command names is shown, on its page or in the README, or is an example", () => {
  const wrong: string[] = [];
  for (const page of pages) {
    const known = configurationsOf(page, pages);
    for (const command of shown.filter((other) => other.page === page.path && other.words[0] === "tidemark")) {
      const files = command.words.filter((_, at) => command.words[at - 1] === "--config");
      for (const file of files) {
        if (!known.has(file) && !exists(`config/examples/${file}`)) wrong.push(`${place(command)}: ${file}`);
      }
      // An overlay alone is no configuration.
      const last = files.at(-1);
      if (last !== undefined && known.has(last) && command.words[0] === "tidemark") {
        assert.deepEqual(files, chainOf(last, known), place(command));
      }
    }
  }
  assert.deepEqual(wrong, []);
});

Deno.test("pages: every command that needs no server does what it says", async () => {
  const folder = await Deno.makeTempDir();
  const before = Deno.cwd();
  try {
    Deno.chdir(folder);
    let ran = 0;
    for (const page of pages) {
      for (const { name, text } of configurationsOf(page, pages).values()) Deno.writeTextFileSync(name, text);
      for (const command of shown.filter((other) => other.page === page.path)) {
        const args = ownArguments(command.words);
        if (args === undefined || !/^(lint|schema|--help|--version)$/.test(args[0]!)) continue;
        const terminal = fakeTerminal({ env: SHOWN_VARIABLES });
        assert.equal(await tidemark(args, terminal), EXIT.ok, `${place(command)}: ${terminal.stderr}`);
        ran++;
      }
    }
    assert.ok(ran >= 6, `only ${ran} commands ran`);
  } finally {
    Deno.chdir(before);
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("pages: every option that is named exists, in the program or in a task", () => {
  const own = allOptions();
  const ofTasks = filesBelow("tests", ".ts").concat(filesBelow("control/install", ".ts")).map(read).join("\n");
  const wrong: string[] = [];
  for (const { path, inline } of pages) {
    for (const { line, text } of inline) {
      for (const [option] of text.matchAll(/(?<![\w-])--[a-z][a-z-]+/g)) {
        const known = own.has(option) || ofTasks.includes(`"${option}"`) || ofTasks.includes(`"${option.slice(2)}"`);
        if (!known) wrong.push(`${path}:${line}: ${option}`);
      }
    }
  }
  assert.deepEqual(wrong, []);
});

Deno.test("README.md has every command in its table, and every exit status", () => {
  const text = read("README.md");
  const table = text.split("\n").filter((line) => /^\| `/.test(line)).map((line) => line.split(" | ")[0]!);
  const named = table.flatMap((cell) => {
    const words = [...cell.matchAll(/`([^`]+)`/g)].map(([, word]) => word!);
    const group = words[0]!.includes(" ") ? `${words[0]!.split(" ")[0]} ` : "";
    return words.map((word) => word.startsWith(group) ? word : group + word);
  });
  assert.deepEqual(named.sort(), [...allCommands().keys()].sort());
  const statuses = /Exit statuses: ([^.]*)\./.exec(text.replaceAll("\n", " "))![1]!;
  assert.deepEqual(
    [...statuses.matchAll(/\b\d+\b/g)].map(([status]) => Number(status)),
    Object.values(EXIT).sort((a, b) => a - b),
  );
});

Deno.test("usage: every command ends in examples, and its parser takes them", async () => {
  const wrong: string[] = [];
  for (const [name, command] of allCommands()) {
    const examples = usageExamples(command);
    if (examples.length === 0) wrong.push(`${name} has no example`);
    for (const text of examples) {
      const [parsed] = shellCommands({ page: `${name} --help`, line: 0, language: "sh", section: "", text });
      const problem = await complaint(parsed!.words.slice(1));
      if (problem !== undefined) wrong.push(`${name}: ${text}: ${problem.trim()}`);
    }
  }
  assert.deepEqual(wrong, []);
});

Deno.test("examples: the commands in their remarks are ones that the parser takes", async () => {
  const remarks = filesBelow("config/examples", ".yaml").flatMap((file) =>
    [...read(file).matchAll(/^#.*?\b(tidemark [a-z].*)$/gm)].map(([, text]) => ({ file, text: text! }))
  );
  assert.ok(remarks.length >= 2);
  for (const { file, text } of remarks) {
    const [parsed] = shellCommands({ page: file, line: 0, language: "sh", section: "", text });
    assert.equal(await complaint(parsed!.words.slice(1)), undefined, `${file}: ${text}`);
  }
});
