import assert from "node:assert/strict";
import type { TidemarkError } from "../../pipeline/errors.ts";
import { loadCheckedConfig, loadConfig, type LoadedConfig } from "../../config/load.ts";
import { formatProblem } from "../../config/problem.ts";

const BASE = `pipeline: p
sources:
  meta: { type: etcd, endpoints: ["etcd:2379"], root_path: by-dev }
  log: { type: kafka, brokers: ["kafka:9092"] }
  binlogs: { type: s3, endpoint: "http://minio:9000", bucket: b, access_key_id: id12, secret_access_key: "\${S3_SECRET}" }
sinks:
  replica: { type: milvus, address: "dr:19530", token: "root:\${PW:-hunter22}" }
`;

function load(
  files: Record<string, string>,
  environment: Record<string, string> = { S3_SECRET: "s3cr3t-value" },
): LoadedConfig {
  return loadConfig(Object.keys(files).filter((name) => name.endsWith(".yaml")), {
    environment: (name) => environment[name],
    readText: (path) => {
      const text = files[path];
      if (text === undefined) throw new Deno.errors.NotFound(path);
      return text;
    },
  });
}

function problems(files: Record<string, string>, environment?: Record<string, string>): string[] {
  return load(files, environment).problems.map(formatProblem);
}

Deno.test("loadConfig gives a checked configuration with defaults", () => {
  const { config, problems } = load({ "a.yaml": BASE });
  assert.deepEqual(problems, []);
  assert.equal(config?.pipeline, "p");
  assert.equal(config?.limits.in_flight, 64 * 2 ** 20);
  assert.equal(config?.limits.base_parallelism, 4);
  assert.equal(config?.limits.checkpoint_interval, 1000);
  assert.deepEqual(config?.state, { type: "file", path: "./state" });
  assert.equal(config?.on_position_lost, "fail");
  assert.deepEqual(config?.transforms.select, { include: ["*.*"], exclude: [], allow_empty: false });
  assert.equal(config?.sources.binlogs?.type === "s3" && config.sources.binlogs.secret_access_key, "s3cr3t-value");
});

Deno.test("loadConfig overlays files in their order and reports each problem with the file it is in", () => {
  const prod = "sinks:\n  replica: { address: 5 }\nlimits: { in_flight: 1GiB, base_paralelism: 2 }\n";
  assert.deepEqual(problems({ "base.yaml": BASE, "prod.yaml": prod }), [
    'prod.yaml:2:23: `sinks.replica.address`: expected text, got the number 5: put it in quotes, "5"',
    "prod.yaml:3:28: Unknown key `base_paralelism` in `limits`: did you mean `base_parallelism`? Allowed here: in_flight, base_parallelism, base_memory, bandwidth, batch_rows, batch_size, lane_depth, refused_rows, refused_size, checkpoint_interval",
  ]);
});

Deno.test("loadConfig lists missing variables together with the other problems, once each", () => {
  assert.deepEqual(problems({ "a.yaml": `${BASE}colour: "\${NONE}"\n` }, {}), [
    "a.yaml:5:106: The environment variable S3_SECRET is not set: set it, or write ${S3_SECRET:-default}",
    "a.yaml:8:1: Unknown key `colour`. Allowed here: pipeline, sources, transforms, sinks, state, limits, on_position_lost, server",
    "a.yaml:8:9: The environment variable NONE is not set: set it, or write ${NONE:-default}",
  ]);
});

Deno.test("loadConfig reads secrets from files and knows them", () => {
  const text = BASE.replace('secret_access_key: "${S3_SECRET}"', "secret_access_key_file: /run/key")
    .replace('token: "root:${PW:-hunter22}"', "token_file: /run/token");
  const { config, problems, redact } = load({
    "a.yaml": text,
    "/run/key": "from-a-file\n",
    "/run/token": "u:tokenpw\n",
  });
  assert.deepEqual(problems, []);
  assert.ok(config !== undefined);
  assert.equal(redact("from-a-file u:tokenpw tokenpw"), "*** *** ***");
});

Deno.test("loadConfig says which secret file cannot be read", () => {
  const text = BASE.replace('secret_access_key: "${S3_SECRET}"', "secret_access_key_file: /run/key");
  assert.deepEqual(problems({ "a.yaml": text }), [
    "a.yaml:5:111: The file /run/key for `secret_access_key` does not exist",
  ]);
  assert.match(
    problems({ "a.yaml": text, "/run/key": "\n" })[0]!,
    /The file \/run\/key for `secret_access_key` is empty/,
  );
});

Deno.test("loadConfig knows the secrets of a configuration that has problems", () => {
  const { config, redact } = load({ "a.yaml": `${BASE}colour: blue\n` });
  assert.equal(config, undefined);
  assert.equal(redact("s3cr3t-value and root:hunter22 and hunter22"), "*** and *** and ***");
});

Deno.test("loadConfig stops at a file that is not YAML, with its problems only", () => {
  assert.deepEqual(problems({ "a.yaml": "a: 1\na: 2\n", "b.yaml": BASE }), [
    "a.yaml:2:1: Duplicate key `a`: each key may be given once in a map",
  ]);
});

Deno.test("loadCheckedConfig throws one error with every problem, without secrets", () => {
  assert.throws(
    () => loadCheckedConfig(["a.yaml"], { environment: () => "topsecret", readText: () => `${BASE}x: 1\ny: 2\n` }),
    (error: TidemarkError) => {
      assert.equal(error.exitCode, 10);
      assert.match(error.message, /^The configuration has 2 problems:\n {2}a\.yaml:8:1: .*\n {2}a\.yaml:9:1: /);
      assert.ok(!error.message.includes("topsecret"));
      return true;
    },
  );
});

Deno.test("loadCheckedConfig says that a file is not there", () => {
  assert.throws(() => loadCheckedConfig(["/no/such.yaml"]), (error: TidemarkError) => {
    assert.equal(error.message, "The configuration file /no/such.yaml does not exist");
    assert.equal(error.exitCode, 10);
    return true;
  });
});
