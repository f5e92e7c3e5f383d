/** Config of the sink that writes into a Milvus cluster. */
import { z } from "zod";
import { duration, size } from "../../pipeline/units/mod.ts";
import { targetStorageSpec } from "./storage_spec.ts";

const ADDRESS = /^(?:https?:\/\/)?(?:\[[0-9a-fA-F:.]+\]|[^\s/:@]+)(?::\d{1,5})?\/?$/;

/** Servers take at most 64 MiB a message by default; this leaves room for the rest of a request. */
const LARGEST_BATCH = 60 * 1024 * 1024;

export const milvusSinkSpec = z.strictObject({
  type: z.literal("milvus").describe("A running Milvus that rows are written into"),
  address: z.string().regex(ADDRESS, "expected host:port or https://host:port, for example dr:19530")
    .describe("Address of the target as host:port; https:// in front turns TLS on. Port 19530 where none is given"),
  token: z.string().min(1).optional().meta({ secret: true }).describe("Login as user:password, or an API key"),
  token_file: z.string().min(1).optional().describe("File that holds the token"),
  username: z.string().min(1).optional().describe("User, instead of token"),
  password: z.string().min(1).optional().meta({ secret: true }).describe("Password of the user"),
  password_file: z.string().min(1).optional().describe("File that holds the password"),
  tls: z.strictObject({
    ca_file: z.string().min(1).optional()
      .describe("PEM file with the certificate authority of the server; left out for those that the system trusts"),
    cert_file: z.string().min(1).optional().describe(
      "PEM file with the client certificate, where the server asks for one",
    ),
    key_file: z.string().min(1).optional().describe("PEM file with the key of the client certificate"),
    server_name: z.string().min(1).optional()
      .describe("Name to expect in the server's certificate where it differs from the address"),
    insecure_skip_verify: z.boolean().default(false).describe("Accept any certificate; for tests only"),
  }).optional().describe("Give it, even empty, where the server speaks TLS"),
  on_existing: z.enum(["fail", "merge", "replace"]).default("fail").describe(
    "What to do where the target already holds rows before the first copy: fail; merge (write over them); replace (drop the collection first)",
  ),
  load: z.enum(["source", "never", "best_effort"], {
    error: ({ input }) =>
      input === "rows" || input === "import" || input === "auto"
        ? `expected source, never or best_effort; how a restore brings rows is called restore_by: write \`restore_by: ${input}\``
        : undefined,
  }).default("source").describe(
    "Which collections are loaded on the target: source, those that are on the source; never, none is loaded or released, somebody else does; best_effort, as source, with fewer replicas and in the default resource group where the target cannot otherwise, and a load that it refuses is no failure of the run. A refused load never holds rows, it is tried again",
  ),
  restore_by: z.enum(["rows", "import", "auto"]).default("auto").describe(
    "How a restore brings the rows of a backup's files: rows, through the public API; import, by Milvus' own bulk import, which needs storage; auto, import where storage is given and there is enough to import, else rows",
  ),
  import_from: size({ min: 0 }).prefault("128MiB").describe(
    "restore_by: auto writes a collection with less than this in files by rows: an import takes the target five seconds whatever its size. Each partition needs an import of its own, so this much is asked for each round of as many imports as the target has data nodes",
  ),
  storage: targetStorageSpec.optional().describe(
    "Where the target itself keeps its files, for restore_by: import and auto. Files that do not lie there are put there for the time of the import",
  ),
  auto_id: z.enum(["preserve", "regenerate"]).default("preserve").describe(
    "Collections whose keys the server makes: preserve writes the source's keys (autoID is off on the target); regenerate lets the target make new ones: deletes and upserts cannot be carried then, and what is written again after a crash is there twice",
  ),
  replicas: z.int().min(1).max(1024).optional()
    .describe("Replicas to load collections with; left out for as many as the source has"),
  resource_groups: z.union([
    z.string().min(1),
    z.record(z.string().min(1), z.string().min(1)),
  ]).optional().describe(
    "Resource groups of the target to load into: one name for all, or a map from the source's name to the target's (a name that is not in it stays as it is); left out for the target's default group. With several, the target wants as many as replicas",
  ),
  shards: z.int().min(1).max(256).optional().describe(
    "Shards of collections that the run makes on the target; left out: as many as on the source. One that exists keeps its own",
  ),
  rbac: z.boolean().default(false).describe("Carry users, roles, grants and privilege groups as well"),
  rbac_mirror: z.boolean().default(false).describe(
    "With rbac: remove also what only the target has; otherwise only what disappears from the source during the run. Needs care where the target has users of its own",
  ),
  rbac_passwords_file: z.string().min(1).optional().describe(
    'With rbac: JSON file {"user": "password"} for users to create; the source stores hashes only, so passwords cannot be copied',
  ),
  max_batch_bytes: size({ min: 64 * 1024, max: LARGEST_BATCH }).prefault("8MiB")
    .describe("Largest request of rows; larger ones are split"),
  max_message_bytes: size({ min: 1024 * 1024, max: 2 ** 31 - 1 }).prefault("64MiB")
    .describe("Largest message sent or taken; the server's own limit is proxy.grpc.serverMaxRecvSize"),
  parallel_writes: z.int().min(1).max(64).default(4).describe("Requests of rows under way at once"),
  timeout: duration({ minMs: 100, maxMs: 3_600_000 }).prefault("60s").describe("How long one request may take"),
}).superRefine((config, context) => {
  const issue = (path: string[], message: string): void => context.addIssue({ code: "custom", path, message });
  const token = config.token ?? config.token_file;
  const password = config.password ?? config.password_file;
  if (token !== undefined && (config.username !== undefined || password !== undefined)) {
    issue(["token"], "token excludes username and password: give one of the two");
  }
  if (config.username !== undefined && password === undefined) issue(["username"], "username needs password");
  if (config.username === undefined && password !== undefined) issue(["password"], "password needs username");
  if (config.tls?.cert_file !== undefined && config.tls.key_file === undefined) {
    issue(["tls", "cert_file"], "cert_file needs key_file");
  }
  if (config.tls?.key_file !== undefined && config.tls.cert_file === undefined) {
    issue(["tls", "key_file"], "key_file needs cert_file");
  }
  if (config.tls !== undefined && config.address.startsWith("http://")) {
    issue(["address"], "http:// and tls contradict each other: write https:// or leave the scheme out");
  }
  if (config.max_batch_bytes > config.max_message_bytes - 64 * 1024) {
    issue(["max_batch_bytes"], "must be at least 64 KiB below max_message_bytes");
  }
  if (config.restore_by === "import" && config.storage === undefined) {
    issue(
      ["restore_by"],
      "restore_by: import needs `storage`: the bucket or folder that the target itself reads, as its milvus.yaml says (minio.*, localStorage.path)",
    );
  }
  for (const key of ["rbac_mirror", "rbac_passwords_file"] as const) {
    if (!config.rbac && config[key]) issue([key], `${key} has no effect without rbac: true`);
  }
});

export type MilvusSinkConfig = z.output<typeof milvusSinkSpec>;
