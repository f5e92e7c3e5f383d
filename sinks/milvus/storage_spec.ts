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

const s3 = z.strictObject({
  ...s3Shape,
  root_path: z.string().default("files").describe("minio.rootPath of the target's milvus.yaml"),
}).superRefine(checkCredentials);

const azure = z.strictObject({
  ...azureShape,
  root_path: z.string().default("files").describe("minio.rootPath of the target's milvus.yaml"),
}).superRefine(checkAzureLogin);

const gcs = z.strictObject({
  ...gcsShape,
  root_path: z.string().default("files").describe("minio.rootPath of the target's milvus.yaml"),
}).superRefine(checkGcsLogin);

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
