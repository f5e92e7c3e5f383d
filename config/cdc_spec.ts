/** `cdc:` of a server: what milvus-cdc keeps in its own file, for the tasks that come by `POST /cdc`. */
import { z } from "zod";
import { binlogsOfSource, logOfSource, metaOfSource } from "./sources_spec.ts";

export const cdcSpec = z.strictObject({
  sources: z.strictObject({
    meta: metaOfSource.describe("Where the source's metadata is: sourceConfig.etcd of milvus-cdc"),
    log: logOfSource.describe("Where the source's message log is: sourceConfig.kafka or pulsar of milvus-cdc"),
    binlogs: binlogsOfSource.describe("Where the source's files are, for the base; milvus-cdc has no such thing"),
  }).describe("The source of every task of /cdc, with the keys of a pipeline's sources"),
  on_existing: z.enum(["fail", "merge", "replace"]).default("fail").describe(
    "What a task does where the target already holds rows under the name of a collection: on_existing of its sink",
  ),
  replicate_channel: z.string().min(1).optional().describe(
    "sourceConfig.replicateChan of milvus-cdc: the one name that rpc_channel_info may give; left out: any",
  ),
  max_tasks: z.int().min(1).max(100_000).default(100).describe("Most tasks of /cdc: maxTaskNum of milvus-cdc"),
  max_name_length: z.int().min(1).max(65_535).default(256).describe(
    "Longest name of a database or collection in a request: maxNameLength of milvus-cdc",
  ),
  loopback_without_token: z.boolean().default(false).describe(
    "Requests to /cdc that come from this machine, under one of the server's own names, need no token: for scripts that send none. A proxy on this machine makes all requests such",
  ),
});

export type CdcConfig = z.output<typeof cdcSpec>;
