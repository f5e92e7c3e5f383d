/** Config of an object store: an S3 bucket, a container of Azure Blob Storage, a bucket of Google Cloud Storage or a folder. */
import { z } from "zod";
import { duration } from "../../pipeline/units/mod.ts";
import { azureShape, checkAzureLogin } from "./azure_spec.ts";
import { checkCustomerKey } from "./customer_key_spec.ts";
import { checkGcsLogin, gcsShape } from "./gcs_spec.ts";

export { azureShape, checkAzureLogin } from "./azure_spec.ts";
export { checkGcsLogin, gcsShape } from "./gcs_spec.ts";

/** The keys of `type: s3` but for where in the bucket to look; components add `prefix` or `root_path` themselves. */
export const s3Shape = {
  type: z.literal("s3").describe("An S3 bucket: AWS, MinIO, Ceph, versitygw, or whatever speaks S3"),
  endpoint: z.url({ protocol: /^https?$/ }).optional()
    .describe("URL of the S3 server, for example http://minio:9000; left out for AWS itself"),
  bucket: z.string().min(1).describe("Name of the bucket"),
  region: z.string().min(1).default("us-east-1").describe("Region that requests are signed for"),
  access_key_id: z.string().min(1).optional().meta({ secret: true })
    .describe("Access key; without one the usual AWS sources are tried (environment, profile, instance role)"),
  access_key_id_file: z.string().min(1).optional().describe("File that holds the access key"),
  secret_access_key: z.string().min(1).optional().meta({ secret: true }).describe("Secret of the access key"),
  secret_access_key_file: z.string().min(1).optional().describe("File that holds the secret of the access key"),
  session_token: z.string().min(1).optional().meta({ secret: true }).describe("Token of temporary credentials"),
  session_token_file: z.string().min(1).optional().describe("File that holds the token of temporary credentials"),
  profile: z.string().min(1).optional().describe("Profile of AWS' own configuration files to take the keys from"),
  assume_role: z.strictObject({
    role_arn: z.string().min(1).describe("The role: arn:aws:iam::ACCOUNT:role/NAME"),
    external_id: z.string().min(1).optional().describe("External ID that the role asks for"),
    session_name: z.string().min(2).max(64).default("tidemark").describe("Name of the session in AWS' records"),
    web_identity_token_file: z.string().min(1).optional().describe(
      "File with the token of a pod or other identity, in the place of keys; read again at every renewal",
    ),
    duration: duration({ minMs: 900_000 }).prefault("1h").describe("For how long keys are asked for"),
    sts_endpoint: z.url({ protocol: /^https?$/ }).optional().describe("URL of STS; left out for the region's own"),
  }).optional().describe("Take a role with the keys that are given or found; its own keys are renewed before they end"),
  path_style: z.boolean().default(true)
    .describe("Bucket in the path (http://host/bucket/key) instead of in the host name; most servers but AWS want it"),
  sse: z.strictObject({
    mode: z.enum(["none", "sse-s3", "sse-kms", "sse-c"]).default("none").describe(
      "Encryption at rest asked for with each write; sse-c by a key of your own, which each read must bring as well",
    ),
    kms_key_id: z.string().min(1).optional().describe("KMS key for sse-kms; left out for the bucket's own"),
    customer_key_file: z.string().min(1).optional().describe(
      "File with the key for sse-c: 32 bytes, plain, in base64 or in hexadecimal. Who loses it loses the objects",
    ),
  }).refine((sse) => sse.kms_key_id === undefined || sse.mode === "sse-kms", {
    error: "kms_key_id needs mode: sse-kms",
    path: ["kms_key_id"],
  }).refine((sse) => sse.customer_key_file === undefined || sse.mode === "sse-c", {
    error: "customer_key_file needs mode: sse-c",
    path: ["customer_key_file"],
  }).refine((sse) => sse.customer_key_file !== undefined || sse.mode !== "sse-c", {
    error: "mode: sse-c needs customer_key_file",
    path: ["mode"],
  }).prefault({}).describe("Server-side encryption"),
  tls: z.strictObject({
    ca_file: z.string().min(1).optional().describe("PEM file with the certificate authority of the server"),
    insecure: z.boolean().default(false).describe("Accept any certificate; for tests only"),
  }).prefault({}).describe("Certificates, where the endpoint is https"),
  max_concurrency: z.int().min(1).max(1024).default(32).describe(
    "Requests that may be open at once; streams not counted",
  ),
} as const;

/** The keys of `type: file` but for the sub-folder. */
export const fileShape = {
  type: z.literal("file").describe("A folder of this machine"),
  path: z.string().min(1).describe("The folder"),
} as const;

export const prefix = z.string().default("").describe(
  "Keys below which everything is kept, without slashes at the ends",
);

type S3Credentials = {
  endpoint?: string | undefined;
  sse?: { customer_key_file?: string | undefined } | undefined;
  access_key_id?: string | undefined;
  access_key_id_file?: string | undefined;
  secret_access_key?: string | undefined;
  secret_access_key_file?: string | undefined;
  session_token?: string | undefined;
  session_token_file?: string | undefined;
  profile?: string | undefined;
  assume_role?: { web_identity_token_file?: string | undefined; external_id?: string | undefined } | undefined;
};

/** Says what is wrong with the credentials (given twice, or by half) and the customer's key. For `superRefine` of every schema made of {@link s3Shape}. */
export function checkCredentials(config: S3Credentials, context: z.RefinementCtx): void {
  for (const key of ["access_key_id", "secret_access_key", "session_token"] as const) {
    if (config[key] !== undefined && config[`${key}_file`] !== undefined) {
      context.addIssue({ code: "custom", path: [`${key}_file`], message: `${key} and ${key}_file exclude each other` });
    }
  }
  checkCustomerKey(
    { file: config.sse?.customer_key_file, endpoint: config.endpoint },
    ["sse", "customer_key_file"],
    context,
  );
  const id = config.access_key_id ?? config.access_key_id_file;
  const secret = config.secret_access_key ?? config.secret_access_key_file;
  if (id !== undefined && secret === undefined) {
    context.addIssue({ code: "custom", path: ["secret_access_key"], message: "access_key_id needs secret_access_key" });
  }
  if (id === undefined && secret !== undefined) {
    context.addIssue({ code: "custom", path: ["access_key_id"], message: "secret_access_key needs access_key_id" });
  }
  const keys = id ?? secret;
  if (keys !== undefined && config.profile !== undefined) {
    context.addIssue({ code: "custom", path: ["profile"], message: "profile and access_key_id exclude each other" });
  }
  if (config.assume_role?.web_identity_token_file === undefined) return;
  const path = ["assume_role", "web_identity_token_file"];
  if ((keys ?? config.profile) !== undefined) {
    context.addIssue({ code: "custom", path, message: "A web identity needs neither keys nor a profile" });
  }
  if (config.assume_role.external_id !== undefined) {
    context.addIssue({ code: "custom", path, message: "A web identity is asked for no external_id" });
  }
}

export const s3Spec = z.strictObject({ ...s3Shape, prefix }).superRefine(checkCredentials);
export const azureSpec = z.strictObject({ ...azureShape, prefix }).superRefine(checkAzureLogin);
export const gcsSpec = z.strictObject({ ...gcsShape, prefix }).superRefine(checkGcsLogin);
export const fileSpec = z.strictObject({ ...fileShape, prefix });

/** `storage:` of a backup, and whatever else keeps objects. */
export const objectStoreSpec = z.discriminatedUnion("type", [s3Spec, azureSpec, gcsSpec, fileSpec]);

export type S3Config = z.output<typeof s3Spec>;
export type AzureConfig = z.output<typeof azureSpec>;
export type GcsConfig = z.output<typeof gcsSpec>;
export type FileConfig = z.output<typeof fileSpec>;
export type ObjectStoreConfig = z.output<typeof objectStoreSpec>;
