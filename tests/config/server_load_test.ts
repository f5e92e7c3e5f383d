import assert from "node:assert/strict";
import { loadServerConfig } from "../../config/mod.ts";

function load(cdc: string, environment: string[] = []) {
  return loadServerConfig(["server.yaml"], {
    readText: () => `server: { environment: [${environment.join(", ")}] }\ncdc:\n${cdc}`,
    environment: (name) => name === "S3_SECRET" ? "hidden-value" : undefined,
  });
}

const sources = (secret: string, log = "{ type: kafka, brokers: [kafka:9092] }") =>
  `  sources:
    meta: { type: etcd, endpoints: [etcd:2379] }
    log: ${log}
    binlogs: { type: s3, endpoint: "http://minio:9000", bucket: b, access_key_id: k, secret_access_key: "${secret}" }
`;

Deno.test("loadServerConfig gives the sources of cdc as they are written, and has its limits", () => {
  const { config, cdcSources, problems } = load(sources("${S3_SECRET}"), ["S3_SECRET"]);
  assert.deepEqual(problems, []);
  assert.ok(JSON.stringify(cdcSources).includes("${S3_SECRET}"));
  const { on_existing, max_tasks, max_name_length, loopback_without_token } = config!.cdc!;
  assert.deepEqual([on_existing, max_tasks, max_name_length, loopback_without_token], ["fail", 100, 256, false]);
});

Deno.test("loadServerConfig refuses a variable in the sources of cdc that tasks may not use", () => {
  const { config, problems } = load(sources("${S3_SECRET}"));
  assert.equal(config, undefined);
  assert.deepEqual(problems.map(({ message, at }) => [message, at.line]), [
    ["Tasks may not use ${S3_SECRET}: name it in server.environment", 6],
  ]);
  assert.deepEqual(load(sources("$${S3_SECRET}")).problems, []);
});

Deno.test("loadServerConfig says what the sources of cdc lack and what nobody knows in them", () => {
  const messages = (text: string) => load(text).problems.map(({ message }) => message);
  assert.match(messages("  sources: { meta: { type: etcd, endpoints: [etcd:2379] } }\n")[0]!, /log/);
  assert.equal(messages(sources("x", "{ type: rocksmq }")).length, 1);
  assert.equal(messages(sources("x") + "  replicateChan: x\n").length, 1);
});
