/** Config of `sources.binlogs`: where the source keeps its binlog files. */
import { z } from "zod";
import {
  azureShape,
  checkAzureLogin,
  checkCredentials,
  checkGcsLogin,
  fileShape,
  gcsShape,
  s3Shape,
} from "../../stores/objects/spec.ts";

const gc = z.strictObject({
  management_address: z.url({ protocol: /^https?$/ })
    .describe("URL of the management port (metrics port, 9091 by default) of the source's datacoord or standalone"),
  pause_secs: z.int().min(60).max(86_400).default(3600)
    .describe("For how long one request pauses garbage collection; renewed at half of it, released at the end"),
}).optional().describe("Pauses the source's garbage collection while the base is copied; left out, it is not touched");

export const s3BinlogSpec = z.strictObject({
  ...s3Shape,
  root_path: z.string().default("files").describe("minio.rootPath of the source's milvus.yaml"),
  gc,
}).superRefine(checkCredentials);

export const azureBinlogSpec = z.strictObject({
  ...azureShape,
  root_path: z.string().default("files").describe("minio.rootPath of the source's milvus.yaml"),
  gc,
}).superRefine(checkAzureLogin);

export const gcsBinlogSpec = z.strictObject({
  ...gcsShape,
  root_path: z.string().default("files").describe("minio.rootPath of the source's milvus.yaml"),
  gc,
}).superRefine(checkGcsLogin);

export const fileBinlogSpec = z.strictObject({
  ...fileShape,
  path: fileShape.path.describe("localStorage.path of the source's milvus.yaml"),
  gc,
});

export const binlogSpec = z.discriminatedUnion("type", [s3BinlogSpec, azureBinlogSpec, gcsBinlogSpec, fileBinlogSpec]);

export type BinlogConfig = z.output<typeof binlogSpec>;
export type GcConfig = NonNullable<BinlogConfig["gc"]>;
