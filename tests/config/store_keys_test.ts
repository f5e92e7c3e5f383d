/** What lint says of the keys of each kind of store, in each place of a configuration that has a store. */
import assert from "node:assert/strict";
import { loadConfig } from "../../config/load.ts";
import { formatProblem } from "../../config/problem.ts";
import { azureShape, fileShape, gcsShape, s3Shape } from "../../stores/objects/spec.ts";

const SHAPES: Readonly<Record<string, object>> = { s3: s3Shape, azure: azureShape, gcs: gcsShape, file: fileShape };

/** As much as a store of each kind can be given at once. */
const WHOLE: Readonly<Record<string, Record<string, unknown>>> = {
  s3: {
    type: "s3",
    endpoint: "https://minio:9000/below",
    bucket: "b",
    region: "eu-central-1",
    profile: "p",
    assume_role: { role_arn: "arn:aws:iam::1:role/r", external_id: "e", session_name: "night", duration: "2h" },
    path_style: false,
    sse: { mode: "sse-kms", kms_key_id: "k" },
    tls: { ca_file: "/ca.pem", insecure: false },
    max_concurrency: 8,
  },
  azure: {
    type: "azure",
    account: "a",
    endpoint: "https://a.blob.core.chinacloudapi.cn",
    container: "c",
    identity: { type: "client_secret", tenant_id: "t", client_id: "i", client_secret_file: "/s" },
    encryption_scope: "s",
    tls: { ca_file: "/ca.pem" },
    max_concurrency: 8,
  },
  gcs: {
    type: "gcs",
    bucket: "b",
    endpoint: "https://storage.googleapis.com",
    credentials_file: "/c.json",
    kms_key_name: "projects/p/locations/l/keyRings/r/cryptoKeys/k",
    tls: { ca_file: "/ca.pem" },
    max_concurrency: 8,
  },
  file: { type: "file", path: "/files" },
};

type Store = Record<string, unknown>;
const MILVUS = { type: "milvus", address: "dr:19530" };
const META = { type: "etcd", endpoints: ["etcd:2379"], root_path: "by-dev" };
const LOG = { type: "kafka", brokers: ["kafka:9092"] };

/** Pipelines with a store, and the path of that. */
const PLACES: Readonly<Record<string, (store: Store) => object>> = {
  "sources.binlogs": (binlogs) => ({ sources: { meta: META, log: LOG, binlogs }, sinks: { r: MILVUS } }),
  "sinks.v.storage": (storage) => ({
    sources: { meta: META, log: LOG, binlogs: WHOLE.file },
    sinks: { v: { type: "backup", name: "b", storage } },
  }),
  "sources.backup.storage": (storage) => ({ sources: { backup: { name: "b", storage } }, sinks: { r: MILVUS } }),
  "sinks.r.storage": (storage) => ({
    sources: { backup: { name: "b", storage: WHOLE.file } },
    sinks: { r: { ...MILVUS, storage } },
  }),
};

function lint(place: string, store: Store): string[] {
  const text = JSON.stringify({ pipeline: "p", ...PLACES[place]!(store) });
  return loadConfig(["p.yaml"], { environment: () => undefined, readText: () => text }).problems.map(formatProblem)
    .map((problem) => problem.replace(/^p\.yaml:\d+:\d+: /, ""));
}

for (const place of Object.keys(PLACES)) {
  Deno.test(`lint takes each kind of store with all its keys as ${place}, and none of another kind's`, () => {
    for (const [type, whole] of Object.entries(WHOLE)) {
      assert.deepEqual(lint(place, whole), [], type);
      const others = new Set(Object.values(SHAPES).flatMap(Object.keys).filter((key) => !(key in SHAPES[type]!)));
      assert.ok(others.size >= 5);
      for (const key of others) {
        const [problem, ...more] = lint(place, { ...whole, [key]: "x" });
        assert.match(problem!, new RegExp(`^Unknown key \`${key}\` in \`${place}\`.*Allowed here: type, `), type);
        assert.deepEqual(more, [], key);
      }
    }
  });

  Deno.test(`lint says of a misspelt key of a store in ${place} which one was meant`, () => {
    for (
      const [type, wrong, right] of [
        ["s3", "buckett", "bucket"],
        ["s3", "asume_role", "assume_role"],
        ["azure", "conection_string", "connection_string"],
        ["azure", "encryption_scop", "encryption_scope"],
        ["gcs", "credential_file", "credentials_file"],
        ["file", "pth", "path"],
      ] as const
    ) {
      const [problem] = lint(place, { ...WHOLE[type], [wrong]: "x" });
      assert.ok(problem!.startsWith(`Unknown key \`${wrong}\` in \`${place}\`: did you mean \`${right}\`?`), problem);
    }
    assert.deepEqual(lint(place, { type: "s4", bucket: "b" }), [
      `\`${place}.type\`: expected one of s3, azure, gcs, file, got the text "s4"`,
    ]);
  });
}

Deno.test("lint names what the logins of a store exclude or lack", () => {
  const s3 = { type: "s3", bucket: "b" };
  const azure = { type: "azure", container: "c" };
  const gcs = { type: "gcs", bucket: "b" };
  const role = { role_arn: "r" };
  for (
    const [store, expected] of [
      [{ ...s3, access_key_id: "k" }, /access_key_id needs secret_access_key/],
      [{ ...s3, secret_access_key: "k", secret_access_key_file: "/k", access_key_id: "k" }, /exclude each other/],
      [{ ...s3, profile: "p", access_key_id: "k", secret_access_key: "k" }, /profile and access_key_id exclude/],
      [
        { ...s3, assume_role: { ...role, web_identity_token_file: "/t", external_id: "e" } },
        /asked for no external_id/,
      ],
      [{ ...s3, assume_role: {} }, /Missing key `role_arn`/],
      [{ ...s3, sse: { mode: "sse-kmz" } }, /expected one of none, sse-s3, sse-kms, sse-c.*did you mean `sse-kms`/],
      [{ ...s3, sse: { kms_key_id: "k" } }, /kms_key_id needs mode: sse-kms/],
      [{ ...s3, endpoint: "minio:9000" }, /endpoint/],
      [{ ...azure, account_key: "k" }, /account_key needs account/],
      [
        { ...azure, account: "a", account_key: "k", sas_token: "t" },
        /account_key and sas_token exclude each other: keep one/,
      ],
      [{ ...azure, account: "a", identity: { type: "client_secret" } }, /client_secret needs tenant_id/],
      [{ ...azure, account: "a", identity: { type: "managd" } }, /expected one of default, managed, workload/],
      [{ ...gcs, anonymous: true, credentials_file: "/c" }, /anonymous and credentials_file exclude each other/],
    ] as const
  ) {
    const problems = lint("sinks.v.storage", store);
    assert.ok(problems.some((problem) => expected.test(problem)), `${JSON.stringify(store)}: ${problems.join("\n")}`);
    assert.ok(problems.every((problem) => problem.includes("sinks.v.storage")), problems.join("\n"));
  }
});
