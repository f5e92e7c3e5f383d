/** Object stores, state stores, and the adapters that sources and sinks share. */
export * from "./objects/mod.ts";
export * from "./state/mod.ts";
export * from "./backup/mod.ts";
export * from "./encryption/mod.ts";
export * from "./parquet_writer.ts";
export * from "./byte_source.ts";
export * from "./parquet.ts";
export * from "./dead_letters.ts";
export * from "./etcd.ts";
