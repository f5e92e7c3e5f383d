import { z } from "zod";
import { checkCredentials, fileShape, objectStoreSpec, s3Shape } from "../stores/objects/spec.ts";
const tls = z.strictObject({
  ca_file: z.string().optional(),
  cert_file: z.string().optional(),
  key_file: z.string().optional(),
  insecure: z.boolean().default(false),
});
export const metaSpec = z.discriminatedUnion("type", [z.strictObject({
  type: z.literal("etcd").describe("Milvus' metadata in etcd"),
  endpoints: z.array(z.string().min(1)).min(1).describe("Addresses of the etcd cluster"),
  root_path: z.string().min(1).describe("etcd.rootPath of the source's milvus.yaml"),
  username: z.string().optional().describe("User"),
  password: z.string().optional().meta({ secret: true }).describe("Password"),
  tls: tls.optional(),
})]);
export const logSpec = z.discriminatedUnion("type", [z.strictObject({
  type: z.literal("kafka").describe("Kafka"),
  brokers: z.array(z.string().min(1)).min(1).describe("Addresses of the Kafka brokers"),
  sasl: z.strictObject({
    mechanism: z.enum(["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"]),
    username: z.string(),
    password: z.string().meta({ secret: true }),
  }).optional(),
  tls: tls.optional(),
})]);
export const binlogSpec = z.discriminatedUnion("type", [
  z.strictObject({ ...s3Shape, root_path: z.string().default("files").describe("root path") }).superRefine(
    checkCredentials,
  ),
  z.strictObject({ ...fileShape, root_path: z.string().default("").describe("root path") }),
]);
export const milvusSpec = z.strictObject({
  type: z.literal("milvus").describe("Milvus"),
  address: z.string().min(1).describe("host:port of the target"),
  token: z.string().optional().meta({ secret: true }).describe("user:password"),
  on_existing: z.enum(["fail", "merge", "replace"]).default("fail"),
  tls: tls.optional(),
});
export const backupSinkSpec = z.strictObject({
  type: z.literal("backup").describe("Backup"),
  name: z.string().optional().describe("Name"),
  storage: objectStoreSpec.describe("Where"),
  log_archive: z.boolean().default(true).describe("archive"),
});
