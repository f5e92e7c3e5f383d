/** /openapi.json is what others take it for: valid, a client comes out of it, and nothing that it allows breaks the server. */
import assert from "node:assert/strict";
import { installOpenApiTools, installSchemathesis } from "../../stack/install.ts";
import { hungAfterMs } from "../../stack/patience.ts";
import { setting } from "../long.ts";
import { type RunningServer, serverRig } from "./server_rig.ts";

const SERVER = `server: { listen: "127.0.0.1:0", requests_per_second: 100000 }
cdc:
  sources:
    meta: { type: etcd, endpoints: ["127.0.0.1:2379"] }
    log: { type: kafka, brokers: ["127.0.0.1:9092"] }
    binlogs: { type: s3, endpoint: "http://127.0.0.1:9000", bucket: b }`;

async function output(program: string, args: readonly string[], cwd: string): Promise<string> {
  const { success, stdout, stderr } = await new Deno.Command(program, { args: [...args], cwd }).output();
  const text = new TextDecoder().decode(stdout) + new TextDecoder().decode(stderr);
  assert.ok(success, `${program} ${args.join(" ")}:\n${text}`);
  return text;
}

async function documentOf(server: RunningServer, folder: string): Promise<string> {
  const path = `${folder}/openapi.json`;
  await Deno.writeTextFile(path, await (await server.request("GET", "/openapi.json")).text());
  return path;
}

const VALIDATE = `
import SwaggerParser from "@apidevtools/swagger-parser";
const { openapi, paths } = await SwaggerParser.validate(process.argv[2]);
console.log(openapi, Object.keys(paths).length);
`;

/** Written as a user would, and checked against the types that were generated. */
const CLIENT = `
import { createTask, getTask, listTasks, pauseTask, resumeTask, startJob, getJob, deleteTask, cdc } from "./client/index.ts";
import { client } from "./client/client.gen.ts";

client.setConfig({ baseUrl: Deno.args[0] as "http://localhost" });
const config = JSON.parse(Deno.args[1]!) as { [key: string]: unknown };
const created = await createTask({ body: { config, wanted: "running" }, throwOnError: true });
const name: string = created.data.name;
const path = { name };
const version: number = (await getTask({ path, throwOnError: true })).data.version;
const paused = await pauseTask({ path, throwOnError: true });
const again = await resumeTask({ path, throwOnError: true });
const { data: begun } = await startJob({ path, body: { kind: "plan", counts: false }, throwOnError: true });
let { data: job } = await getJob({ path: { id: begun.id }, throwOnError: true });
while (job.ended_at === null) ({ data: job } = await getJob({ path: { id: begun.id }, throwOnError: true }));
const names = (await listTasks({ throwOnError: true })).data.tasks.map((task) => task.name);
const missing = await getTask({ path: { name: "nobody" } });
const old = await cdc({ body: { request_type: "list" }, throwOnError: true });
await deleteTask({ path, throwOnError: true });
const left = (await listTasks({ throwOnError: true })).data.tasks.length;
console.log(JSON.stringify({
  name, version, paused: paused.data.wanted, again: again.data.wanted, job: job.state, names, left,
  missing: missing.error?.code, old: old.data.code,
}));
`;

Deno.test("/openapi.json is a valid document, and the client that a generator makes of it drives the server", async () => {
  const tools = await installOpenApiTools();
  await using rig = await serverRig(SERVER);
  const server = await rig.start();
  const document = await documentOf(server, rig.folder);
  // Node looks for packages from the script on.
  await Deno.symlink(`${tools}/node_modules`, `${rig.folder}/node_modules`);
  await Deno.writeTextFile(`${rig.folder}/validate.mjs`, VALIDATE);
  assert.match(await output("node", ["validate.mjs", document], rig.folder), /^3\.1\.0 \d\d/);

  await output("node", ["node_modules/@hey-api/openapi-ts/bin/run.js", "-i", document, "-o", "client"], rig.folder);
  await Deno.writeTextFile(`${rig.folder}/use.ts`, CLIENT);
  await Deno.writeTextFile(`${rig.folder}/deno.json`, "{}");
  const { components } = JSON.parse(await Deno.readTextFile(document));
  const { example } = components.schemas.CreateTask.properties.config;
  const said = await output(
    Deno.execPath(),
    ["run", "-A", "--check", "--quiet", "--unstable-sloppy-imports", "use.ts", server.url, JSON.stringify(example)],
    rig.folder,
  );
  assert.deepEqual(JSON.parse(said.trim().split("\n").at(-1)!), {
    name: "prod-to-dr",
    version: 1,
    paused: "paused",
    again: "running",
    job: "done",
    names: ["prod-to-dr"],
    left: 0,
    missing: "not_found",
    old: 200,
  });
});

Deno.test("the server answers whatever its document allows, and what it does not, without an error of its own", async () => {
  const python = await installSchemathesis();
  await using rig = await serverRig(SERVER);
  const server = await rig.start();
  const checks = [
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_schema_conformance",
  ];
  const report = await output(python, [
    ...["-m", "schemathesis.cli", "run", `${server.url}/openapi.json`],
    // A stream that does not end.
    ...["--exclude-path", "/api/v1/events"],
    ...[
      "--phases",
      setting("TIDEMARK_API_PHASES", "examples,coverage,stateful", "examples,coverage,stateful,fuzzing"),
      "--checks",
      checks.join(","),
    ],
    // Its own limit is 10 s, which a request that starts a process may take where everything is slow.
    ...["--request-timeout", `${Math.round(hungAfterMs() / 1000)}`],
    ...["--seed", "1", "--generation-deterministic", "--workers", "1"],
    ...["--max-examples", setting("TIDEMARK_API_EXAMPLES", "5", "200")],
  ], rig.folder);
  assert.match(report, /Tested: \d\d/, report);
  assert.ok(!server.log().includes("A request failed"), server.log());
});
