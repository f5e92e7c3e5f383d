/** Config of the metadata source. */
import { z } from "zod";
import { checkEtcdLogin, etcdShape } from "../../stores/etcd/spec.ts";

const path = (what: string) =>
  z.string().min(1).regex(/^[^/].*[^/]$|^[^/]$/, "expected no slash at the beginning or end").describe(what);

/** `sources.meta` of `type: etcd`. */
export const etcdMetaSpec = z.strictObject({
  type: z.literal("etcd").describe("The etcd that the source keeps its metadata in"),
  ...etcdShape,
  root_path: path("Where the source's keys begin: etcd.rootPath of its milvus.yaml").default("by-dev"),
  meta_sub_path: path("Below root_path, the metadata: etcd.metaSubPath of its milvus.yaml").default("meta"),
  kv_sub_path: path("Below root_path, the allocators: etcd.kvSubPath of its milvus.yaml").default("kv"),
  page_size: z.int().min(10).max(100_000).default(2_000).describe("Keys read with one request"),
}).superRefine(checkEtcdLogin);

export type EtcdMetaConfig = z.output<typeof etcdMetaSpec>;
