/** The sink that writes into a running Milvus, and the connection to one. */
export { type Channel, openChannel } from "./channel.ts";
export { channelOptions } from "./connection.ts";
export { createMilvusSink, type MilvusSinkDeps } from "./sink.ts";
export { type MilvusSinkConfig, milvusSinkSpec } from "./spec.ts";
export type { SinkState } from "./patience.ts";
export { storeConfigOf, type TargetStorageConfig } from "./storage_spec.ts";
