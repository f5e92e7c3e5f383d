/** The sink that writes into a running Milvus. */
export { createMilvusSink, type MilvusSinkDeps } from "./sink.ts";
export { type MilvusSinkConfig, milvusSinkSpec } from "./spec.ts";
export type { SinkState } from "./patience.ts";
export { storeConfigOf, type TargetStorageConfig } from "./storage_spec.ts";
