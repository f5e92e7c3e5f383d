/** Config of a bucket of Google Cloud Storage. */
import { z } from "zod";
import { checkCustomerKey } from "./customer_key_spec.ts";

/** The keys of `type: gcs` but for where in the bucket to look; components add `prefix` or `root_path` themselves. */
export const gcsShape = {
  type: z.literal("gcs").describe("A bucket of Google Cloud Storage, by its own API"),
  bucket: z.string().min(1).describe("Name of the bucket"),
  endpoint: z.url({ protocol: /^https?$/ }).optional().describe(
    "URL of the service; left out for https://storage.googleapis.com",
  ),
  credentials_file: z.string().min(1).optional().describe(
    "Key file of a service account, or configuration of a workload identity federation; read again when it is refused. Left out, the usual Google sources are tried (GOOGLE_APPLICATION_CREDENTIALS, gcloud's login, the metadata server of the machine or pod)",
  ),
  anonymous: z.boolean().default(false).describe("Without a login: for public buckets and emulators"),
  kms_key_name: z.string().min(1).optional().describe(
    "Key in Cloud KMS that encrypts each write: projects/P/locations/L/keyRings/R/cryptoKeys/K; left out for the bucket's own",
  ),
  customer_key_file: z.string().min(1).optional().describe(
    "File with a key of your own, which goes with each read and write: 32 bytes, plain, in base64 or in hexadecimal. Who loses it loses the objects",
  ),
  tls: z.strictObject({
    ca_file: z.string().min(1).optional().describe("PEM file with the certificate authority of the server"),
  }).prefault({}).describe("Certificates, where the endpoint is https"),
  max_concurrency: z.int().min(1).max(1024).default(32).describe(
    "Requests that may be open at once; streams not counted",
  ),
} as const;

/** For `superRefine` of every schema made of {@link gcsShape}. */
export function checkGcsLogin(
  config: {
    readonly anonymous: boolean;
    readonly credentials_file?: string | undefined;
    readonly endpoint?: string | undefined;
    readonly kms_key_name?: string | undefined;
    readonly customer_key_file?: string | undefined;
  },
  context: z.RefinementCtx,
): void {
  checkCustomerKey(
    {
      file: config.customer_key_file,
      endpoint: config.endpoint,
      ...(config.kms_key_name === undefined ? {} : { other: "kms_key_name" }),
    },
    ["customer_key_file"],
    context,
  );
  if (!config.anonymous || config.credentials_file === undefined) return;
  context.addIssue({
    code: "custom",
    path: ["anonymous"],
    message: "anonymous and credentials_file exclude each other",
  });
}
