import assert from "node:assert/strict";
import { tidemark } from "../../control/mod.ts";
import { pipelineJsonSchemaText } from "../../config/mod.ts";
import { type FakeTerminal, fakeTerminal, type FakeTerminalOptions } from "./fake_terminal.ts";

async function run(args: string[], options: FakeTerminalOptions = {}): Promise<FakeTerminal & { status: number }> {
  const terminal = fakeTerminal(options);
  const status = await tidemark(args, terminal);
  return Object.assign(Object.create(terminal) as FakeTerminal, { status });
}

async function withFile<T>(text: string, work: (path: string) => Promise<T>): Promise<T> {
  const path = await Deno.makeTempFile({ suffix: ".yaml" });
  try {
    await Deno.writeTextFile(path, text);
    return await work(path);
  } finally {
    await Deno.remove(path);
  }
}

const CONFIG = `pipeline: p
sources:
  meta: { type: etcd, endpoints: ["127.0.0.1:1"], root_path: by-dev }
  log: { type: kafka, brokers: ["127.0.0.1:1"] }
  binlogs: { type: file, path: /nowhere }
sinks:
  replica: { type: milvus, address: "127.0.0.1:1" }
`;

Deno.test("tidemark --help lists the commands, examples and exit statuses on stdout", async () => {
  const { status, stdout, stderr } = await run(["--help"]);
  assert.equal(status, 0);
  assert.equal(stderr, "");
  for (
    const word of [
      "run",
      "lint",
      "check",
      "plan",
      "status",
      "verify",
      "backup",
      "inspect",
      "schema",
      "Examples:",
      "Exit status:",
    ]
  ) assert.ok(stdout.includes(word), word);
});

Deno.test("tidemark gives every command a usage text that ends in examples", async () => {
  for (
    const command of [
      "run",
      "lint",
      "check",
      "plan",
      "status",
      "verify",
      "schema",
      "backup list",
      "backup show",
      "backup verify",
      "backup restore",
      "backup prune",
      "inspect meta",
      "inspect log",
    ]
  ) {
    const { status, stdout } = await run([...command.split(" "), "--help"]);
    assert.equal(status, 0, command);
    const examples = stdout.slice(stdout.indexOf("\nExamples:\n") + 11).trimEnd().split("\n");
    assert.ok(stdout.includes("\nExamples:\n") && examples.length >= 1, command);
    for (const line of examples) assert.ok(line.startsWith(`  tidemark ${command}`), line);
  }
});

Deno.test("tidemark --version prints the version", async () => {
  const { status, stdout } = await run(["--version"]);
  assert.equal(status, 0);
  assert.match(stdout, /^\d+\.\d+\.\d+\n$/);
});

Deno.test("tidemark ends with 2 for a wrong command line, and guesses", async () => {
  const unknown = await run(["lnt"]);
  assert.equal(unknown.status, 2);
  assert.match(
    unknown.stderr,
    /^Error: There is no command "lnt": did you mean lint\?\n {2}Hint: The commands are run, /,
  );
  const option = await run(["run", "--confg", "x"]);
  assert.equal(option.status, 2);
  assert.match(option.stderr, /Did you mean --config\?/);
  const both = await run(["run", "--once", "--until", "now", "--config", "x"]);
  assert.equal(both.status, 2);
  assert.match(both.stderr, /cannot be used with/);
  const none = await run(["run"]);
  assert.equal(none.status, 2);
  assert.match(none.stderr, /^Error: No configuration: expected --config FILE\n/);
  const level = await run(["run", "--config", "x", "--log-level", "loud"]);
  assert.equal(level.status, 2);
});

Deno.test("tidemark runs run where no command is given", async () => {
  const { status, stderr } = await run(["--config", "/no/such.yaml"]);
  assert.equal(status, 10);
  assert.match(stderr, /^Error: The configuration file \/no\/such\.yaml does not exist\n {2}Hint: /);
});

Deno.test("tidemark lint prints problems on stdout, one a line, and ends with 10", async () => {
  await withFile(CONFIG.replace("brokers", "broker"), async (path) => {
    const { status, stdout, stderr } = await run(["lint", "--config", path]);
    assert.equal(status, 10);
    const lines = stdout.trimEnd().split("\n");
    assert.equal(lines.length, 2);
    for (const line of lines) assert.match(line, new RegExp(`^${RegExp.escape(path)}:4:\\d+: `));
    assert.equal(stderr, "2 problems\n");
    const json = await run(["lint", "--config", path, "--json"]);
    assert.deepEqual((JSON.parse(json.stdout) as { line: number }[]).map((item) => item.line), [4, 4]);
  });
});

Deno.test("tidemark lint ends with 0 and says nothing on stdout where all is well", async () => {
  await withFile(CONFIG, async (path) => {
    const { status, stdout, stderr } = await run(["lint", "--config", path]);
    assert.deepEqual([status, stdout, stderr], [0, "", `${path}: no problems\n`]);
    assert.equal((await run(["lint", "--config", path, "--json"])).stdout, "[]\n");
  });
});

Deno.test("tidemark lint knows the file of a server by its keys", async () => {
  await withFile('server: { listen: "127.0.0.1:8444" }\n', async (path) => {
    const { status, stderr } = await run(["lint", "--config", path]);
    assert.deepEqual([status, stderr], [0, `${path}: no problems\n`]);
  });
  await withFile('server: { listen: "0.0.0.0:8444" }\ntask: {}\n', async (path) => {
    const { status, stdout } = await run(["lint", "--config", path]);
    assert.equal(status, 10);
    assert.deepEqual(stdout.match(/(no loopback address|Unknown key `task`)/g)!.length, 3);
  });
});

Deno.test("tidemark runs nothing with a configuration that does not lint", async () => {
  await withFile(`${CONFIG}colour: blue\n`, async (path) => {
    for (
      const command of [
        "run",
        "check",
        "plan",
        "status",
        "verify",
        "inspect meta",
        "inspect log",
        "backup restore",
        "backup list",
      ]
    ) {
      const { status, stderr, stdout } = await run([...command.split(" "), "--config", path]);
      assert.equal(status, 10, command);
      assert.match(stderr, /^Error: The configuration has one problem:\n {2}.*:8:1: Unknown key `colour`/, command);
      assert.equal(stdout, "", command);
    }
  });
});

Deno.test("tidemark --json prints an error as an object on stdout, and for people on stderr", async () => {
  const { status, stdout, stderr } = await run(["plan", "--config", "/no/such.yaml", "--json"]);
  assert.equal(status, 10);
  assert.deepEqual(JSON.parse(stdout).error.code, "config");
  assert.match(stderr, /^Error: /);
});

Deno.test("tidemark status says that there was no run yet", async () => {
  const folder = await Deno.makeTempDir();
  await withFile(`${CONFIG}state: { type: file, path: ${folder} }\n`, async (path) => {
    const { status, stderr } = await run(["status", "--config", path]);
    assert.equal(status, 11);
    assert.match(stderr, /There is no state of p at .*p\.state\.json\n {2}Hint: Start a run first/);
  });
  await Deno.remove(folder, { recursive: true });
});

Deno.test("tidemark schema prints the schema, and --check compares it with the committed one", async () => {
  assert.equal((await run(["schema"])).stdout, pipelineJsonSchemaText());
  const { status, stderr } = await run(["schema", "--check"]);
  const files = "config/pipeline.schema.json, docs/configuration.md, and docs/server.md";
  assert.deepEqual([status, stderr], [0, `${files} are up to date\n`]);
});

Deno.test("tidemark backup wants a place, and only one", async () => {
  for (
    const [args, words] of [
      [["backup", "list"], /Where are the backups\?/],
      [["backup", "list", "--endpoint", "http://x"], /--endpoint needs --storage/],
      [["backup", "prune", "--region", "eu-1"], /--region needs --storage\n {2}Hint: .*`region`/],
      [["backup", "show", "n", "--virtual-host"], /--virtual-host needs --storage\n {2}Hint: .*`path_style: false`/],
      [
        ["backup", "show", "n", "--identity-file", "/k"],
        /--identity-file needs --storage\n {2}Hint: .*`encrypt.identity_file`/,
      ],
      [["backup", "list", "--passphrase-file", "/k", "--config", "y"], /--passphrase-file needs --storage/],
      [["backup", "verify", "n", "--customer-key-file", "/k"], /--customer-key-file needs --storage/],
      [["backup", "list", "--storage", "/x", "--identity-file", "k", "--passphrase-file", "p"], /cannot be used with/],
      [["backup", "list", "--storage", "/x", "--endpoint", "http://x"], /no meaning with a folder/],
      [["backup", "list", "--storage", "ftp://x/y"], /of no known kind/],
      [["backup", "list", "--storage", "/x", "--config", "y"], /exclude each other/],
      [["backup", "verify", "n", "--storage", "/x", "--sample", "0"], /is not a share/],
      [["backup", "prune", "--storage", "/x"], /No rule says what to keep/],
      [["backup", "prune", "--storage", "/x", "--keep-last", "0"], /is not a number of backups/],
      [["backup", "prune", "--storage", "/x", "--keep-within", "7"], /is not a duration/],
    ] as const
  ) {
    const { status, stderr } = await run([...args]);
    assert.equal(status, 2, stderr);
    assert.match(stderr, words);
  }
});

Deno.test("tidemark backup restore refuses a configuration that reads a running Milvus", async () => {
  await withFile(CONFIG, async (path) => {
    const { status, stderr } = await run(["backup", "restore", "--config", path]);
    assert.equal(status, 2);
    assert.match(stderr, /a restore reads a backup\n {2}Hint: .*config\/examples\/restore\.yaml/);
  });
});
