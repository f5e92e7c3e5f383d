/** Config of a Milvus sink's `storage`: the bucket or folder that the target itself reads. */
import { z } from "zod";
import {
  azureShape,
  checkAzureLogin,
  checkCredentials,
  checkGcsLogin,
  fileShape,
  gcsShape,
  type ObjectStoreConfig,
  s3Shape,
} from "../../stores/mod.ts";

/** Milvus reads by the bucket's own means. */
function noCustomerKey(
  config: { readonly sse?: object; readonly customer_key_file?: string | undefined },
  context: z.RefinementCtx,
) {
  const path =
    config.sse !== undefined && "customer_key_file" in config.sse && config.sse.customer_key_file !== undefined
      ? ["sse", "customer_key_file"]
      : config.customer_key_file !== undefined
      ? ["customer_key_file"]
      : undefined;
  if (path === undefined) return;
  context.addIssue({
    code: "custom",
    path,
    message: "The target reads this storage and has no such key: leave it out here",
  });
}

const s3 = z.strictObject({
  ...s3Shape,
  root_path: z.string().default("files").describe("minio.rootPath of the target's milvus.yaml"),
}).superRefine(checkCredentials).superRefine(noCustomerKey);

const azure = z.strictObject({
  ...azureShape,
  root_path: z.string().default("files").describe("minio.rootPath of the target's milvus.yaml"),
}).superRefine(checkAzureLogin).superRefine(noCustomerKey);

const gcs = z.strictObject({
  ...gcsShape,
  root_path: z.string().default("files").describe("minio.rootPath of the target's milvus.yaml"),
}).superRefine(checkGcsLogin).superRefine(noCustomerKey);

const file = z.strictObject({
  ...fileShape,
  path: fileShape.path.describe("localStorage.path of the target's milvus.yaml, as the target sees it"),
});

export const targetStorageSpec = z.discriminatedUnion("type", [s3, azure, gcs, file]);

export type TargetStorageConfig = z.output<typeof targetStorageSpec>;

/** The store of the whole bucket or folder: the target knows its objects by their full keys. */
export function storeConfigOf(storage: TargetStorageConfig): ObjectStoreConfig {
  if (storage.type === "file") return { ...storage, prefix: "" };
  const { root_path: _, ...rest } = storage;
  return { ...rest, prefix: "" };
}
