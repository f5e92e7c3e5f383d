/** What other programs say of `deploy/` and of the Dockerfile: promtool, kubernetes-validate, hadolint, systemd, shells. */
import assert from "node:assert/strict";
import { Ajv2020 } from "ajv/dist/2020.js";
import { parse } from "yaml";
import { metricsText } from "../../../control/server/metrics.ts";
import { alertRules, dashboardExpressions, DEPLOY, documents, KUBERNETES, read } from "../../deploy/deploy_files.ts";
import { manyTasks } from "../../fakes/many_tasks.ts";
import { debianFile, installDebian } from "../../stack/debian.ts";
import { installDeployLinters } from "../../stack/mod.ts";
import { VERSIONS } from "../../stack/versions.ts";

const ROOT = new URL("../../../", import.meta.url).pathname;

/** What it printed; it must have ended with 0. */
async function run(command: string, args: readonly string[], input?: string, cwd = ROOT): Promise<string> {
  const child = new Deno.Command(command, {
    args: [...args],
    cwd,
    stdin: input === undefined ? "null" : "piped",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  if (input !== undefined) {
    const writer = child.stdin.getWriter();
    await writer.write(new TextEncoder().encode(input));
    await writer.close();
  }
  const { code, stdout, stderr } = await child.output();
  const text = new TextDecoder().decode(stdout) + new TextDecoder().decode(stderr);
  assert.equal(code, 0, `${command} ${args.join(" ")}:\n${text}`);
  return text;
}

Deno.test("promtool takes the rules, each alert fires once, the configuration and every expression of the dashboard", async () => {
  const promtool = await debianFile("prometheus", "usr/bin/promtool");
  const folder = `${DEPLOY.pathname}prometheus`;
  assert.match(await run(promtool, ["check", "rules", "alerts.yaml"], undefined, folder), /SUCCESS: \d+ rules found/);
  assert.match(await run(promtool, ["test", "rules", "alerts_test.yaml"], undefined, folder), /SUCCESS/);
  assert.match(
    await run(promtool, ["check", "config", "scrape.yaml"], undefined, folder),
    /is valid prometheus config/,
  );
  const rules = dashboardExpressions().map(({ expr }, at) => ({ record: `dashboard:expression:${at}`, expr }));
  const file = await Deno.makeTempFile({ suffix: ".json" });
  try {
    await Deno.writeTextFile(file, JSON.stringify({ groups: [{ name: "dashboard", rules }] }));
    assert.match(await run(promtool, ["check", "rules", file]), new RegExp(`SUCCESS: ${rules.length} rules found`));
  } finally {
    await Deno.remove(file);
  }
});

Deno.test("promtool finds nothing to say against the metrics of 20 tasks", async () => {
  const promtool = await debianFile("prometheus", "usr/bin/promtool");
  const text = await metricsText({
    tasks: manyTasks(20, 3),
    requests: new Map([["GET 200", 3]]),
    notifications: new Map(),
    now: Date.now(),
  });
  for (const { expr } of alertRules()) {
    const [name] = /tidemark_\w+/.exec(expr)!;
    assert.ok(text.includes(`\n${name}`) || /backup/.test(name), `${name} is not said`);
  }
  assert.equal(await run(promtool, ["check", "metrics"], text), "");
});

Deno.test("kubernetes-validate takes the manifests, strictly, and hadolint the Dockerfile", async () => {
  const bin = await installDeployLinters();
  const own = KUBERNETES.filter((path) => !path.includes("servicemonitor"));
  const files = own.map((path) => `deploy/${path}`);
  const said = await run(`${bin}/kubernetes-validate`, ["--strict", "-k", "1.34", ...files]);
  assert.equal(said.match(/ passed for resource /g)?.length, own.flatMap(documents).length, said);
  assert.equal(await run(`${bin}/hadolint`, ["Dockerfile"]), "");
});

/** Folder of a Go module's source. */
async function goModule(module: string): Promise<string> {
  const folder = await Deno.makeTempDir();
  try {
    const { Dir } = JSON.parse(await run("go", ["mod", "download", "-json", module], undefined, folder)) as {
      Dir: string;
    };
    return Dir;
  } finally {
    await Deno.remove(folder);
  }
}

/** The schema says nothing of keys that it does not know: here they are wrong. */
function closed(schema: unknown): unknown {
  if (Array.isArray(schema)) return schema.map(closed);
  if (schema === null || typeof schema !== "object") return schema;
  const inner = Object.fromEntries(Object.entries(schema).map(([key, value]) => [key, closed(value)]));
  return "properties" in inner && !("additionalProperties" in inner)
    ? { ...inner, additionalProperties: false }
    : inner;
}

Deno.test("the ServiceMonitors are what the Prometheus Operator expects", async () => {
  const folder = await goModule(VERSIONS.prometheusOperator);
  const path = `${folder}/example/prometheus-operator-crd/monitoring.coreos.com_servicemonitors.yaml`;
  const { spec: { versions } } = parse(await Deno.readTextFile(path));
  const spec = versions[0].schema.openAPIV3Schema.properties.spec;
  const check = new Ajv2020({ strict: false, validateFormats: false }).compile(closed(spec) as object);
  const monitors = documents("kubernetes/servicemonitor.yaml");
  assert.equal(monitors.length, 2);
  for (const monitor of monitors) assert.ok(check(monitor.spec), JSON.stringify(check.errors));
  assert.equal(check({ ...monitors[0].spec, endpoint: [] }), false);
});

Deno.test("the Compose file is what the Compose specification expects", async () => {
  const folder = await goModule(VERSIONS.composeGo);
  const schema = JSON.parse(await Deno.readTextFile(`${folder}/schema/compose-spec.json`));
  const check = new Ajv2020({ strict: false, validateFormats: false }).compile(schema);
  assert.ok(check(parse(read("compose.yaml"))), JSON.stringify(check.errors));
  assert.equal(check({ services: { a: { imagine: "x" } } }), false);
});

Deno.test("systemd takes the unit", async () => {
  await installDebian(["systemd-analyze"], ["systemd"]);
  const folder = await Deno.makeTempDir();
  try {
    const unit = read("systemd/tidemark.service").replace("/usr/local/bin/tidemark", "/bin/true");
    await Deno.writeTextFile(`${folder}/tidemark.service`, unit);
    assert.equal(await run("systemd-analyze", ["verify", "--man=no", `${folder}/tidemark.service`]), "");
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("zsh and fish complete commands, options and values", async () => {
  await installDebian(["zsh"], ["zsh"]);
  await installDebian(["fish"], ["fish"]);
  const script = (shell: string) => run(Deno.execPath(), ["run", "-A", "--quiet", "main.ts", "completion", shell]);
  const zsh = await script("zsh");
  const words = async (...line: string[]) => {
    const stubs = 'compdef() { :; }; compadd() { shift; print -l -- "$@"; }; _files() { print -- FILES; };';
    const text = `${stubs}\n${zsh}\nwords=("$@"); CURRENT=$#; _tidemark`;
    return (await run("zsh", ["-f", "-c", text, "zsh", "tidemark", ...line])).trim().split("\n");
  };
  assert.ok((await words("")).includes("backup"));
  assert.deepEqual(await words("backup", ""), ["list", "show", "verify", "restore", "prune", "--help"]);
  assert.deepEqual(await words("run", "--log-level", ""), ["debug", "info", "warning", "error"]);
  assert.deepEqual(await words("run", "--config", ""), ["FILES"]);
  const fish = await script("fish");
  const offered = async (line: string) => {
    const said = await run("fish", ["--no-config", "-c", `${fish}\ncomplete -C ${JSON.stringify(line)}`]);
    return said.split("\n").map((row) => row.split("\t")[0]!).filter((word) => word !== "");
  };
  assert.deepEqual(await offered("tidemark ba"), ["backup"]);
  assert.deepEqual((await offered("tidemark backup ")).sort(), ["list", "prune", "restore", "show", "verify"]);
  assert.deepEqual(await offered("tidemark backup list --mo"), ["--moments"]);
  assert.deepEqual(await offered("tidemark verify --mo"), []);
});
