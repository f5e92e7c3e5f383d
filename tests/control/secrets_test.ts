/** Every command with marked secrets in its configuration; nothing that it prints may contain one, in any form. */
import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { tidemark } from "../../control/mod.ts";
import { fakeTerminal } from "./fake_terminal.ts";

const MARK = "S3CRET/mark+";
const secret = (name: string) => `${MARK}${name}"é`;

/** Nobody listens on port 1: every component fails, most of them with words about how they tried. */
function config(folder: string, extra = ""): string {
  return `pipeline: marked
sources:
  meta: { type: etcd, endpoints: ["127.0.0.1:1"], root_path: by-dev, username: u, password: '${
    secret("etcd")
  }', dial_timeout_ms: 300 }
  log:
    type: kafka
    brokers: ["127.0.0.1:1"]
    sasl: { mechanism: PLAIN, username: u, password_file: ${folder}/kafka }
    request_timeout_ms: 1s
  binlogs: { type: s3, endpoint: "http://127.0.0.1:1", bucket: b, access_key_id: '${
    secret("id")
  }', secret_access_key: "\${S3_SECRET}" }
sinks:
  replica: { type: milvus, address: "127.0.0.1:1", token: 'root:${secret("token")}', timeout: 300ms }
  vault: { type: backup, storage: { type: file, path: ${folder}/vault } }
state: { type: file, path: ${folder}/state }
${extra}`;
}

const RESTORE = (folder: string) =>
  `pipeline: marked
sources: { backup: { name: none, storage: { type: file, path: ${folder}/vault } } }
sinks: { replica: { type: milvus, address: "127.0.0.1:1", username: u, password: '${secret("token")}' } }
state: { type: etcd, endpoints: ["127.0.0.1:1"], username: u, password: '${secret("state")}', dial_timeout_ms: 300 }
`;

const COMMANDS = [
  "run --once",
  "run --until now",
  "lint",
  "check",
  "plan",
  "status",
  "verify",
  "inspect meta",
  "inspect log",
  "inspect log --channel by-dev-rootcoord-dml_0",
  "backup list",
  "backup show none",
  "backup verify none",
  "backup verify none --deep",
  "backup prune --dry-run",
  "backup restore",
];

function forms(name: string): string[] {
  const text = secret(name);
  return [
    text,
    MARK,
    encodeURIComponent(MARK),
    JSON.stringify(text).slice(1, -1),
    Buffer.from(text).toString("base64").slice(0, 16),
  ];
}

/** All commands, one after the other; a component that waits for its server waits until it is stopped. */
async function outputs(file: string, flags: readonly string[]): Promise<Map<string, string>> {
  const found = new Map<string, string>();
  for (const command of COMMANDS) {
    const terminal = fakeTerminal({ env: { S3_SECRET: secret("s3"), TIDEMARK_DEBUG: "1" } });
    const patience = setTimeout(() => terminal.send("SIGTERM"), 1000);
    const json = command.startsWith("inspect") ? [] : flags.filter((flag) => flag === "--json");
    await tidemark([
      ...command.split(" "),
      "--config",
      file,
      "--log-level",
      "debug",
      ...json,
      ...flags.filter((flag) => flag !== "--json"),
    ], terminal);
    clearTimeout(patience);
    found.set(command, terminal.stdout + terminal.stderr);
  }
  return found;
}

function assertClean(found: ReadonlyMap<string, string>): void {
  for (const [command, output] of found) {
    assert.ok(output !== "" || command === "lint", `${command} printed nothing`);
    for (const name of ["etcd", "kafka", "id", "s3", "token", "state", "misspelt"]) {
      for (const form of forms(name)) assert.ok(!output.includes(form), `${command} printed ${form} in:\n${output}`);
    }
  }
}

async function withFolder(work: (folder: string) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir({ prefix: "tidemark-secrets-" });
  try {
    await Deno.mkdir(`${folder}/vault`);
    await Deno.writeTextFile(`${folder}/kafka`, `${secret("kafka")}\n`);
    await work(folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

async function commandsWith(text: (folder: string) => string, flags: readonly string[]): Promise<void> {
  await withFolder(async (folder) => {
    await Deno.writeTextFile(`${folder}/p.yaml`, text(folder));
    assertClean(await outputs(`${folder}/p.yaml`, flags));
  });
}

Deno.test("tidemark prints no secret with a configuration whose servers are all away", () =>
  commandsWith((folder) => config(folder), []));

Deno.test("tidemark prints no secret as JSON", () =>
  commandsWith((folder) => config(folder), ["--json", "--log-json"]));

Deno.test("tidemark prints no secret of a restore", () => commandsWith(RESTORE, []));

Deno.test("tidemark prints no secret of a configuration that does not lint, misspelt keys and wrong types included", () =>
  commandsWith(
    (folder) =>
      config(folder, `limits: { secret_acess_key: '${secret("misspelt")}', in_flight: many }\n`)
        .replace("sinks:\n", 'on_position_lost: "${S3_SECRET}"\nsinks:\n')
        .replace("type: kafka", `type: '${secret("id")}'`),
    [],
  ));
