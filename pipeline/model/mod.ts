/** The vocabulary of the pipeline, in Milvus' own words. */
export * from "./archive_sink.ts";
export * from "./beside.ts";
export * from "./bulk_import.ts";
export * from "./catalog.ts";
export * from "./check.ts";
export * from "./column.ts";
export * from "./dead_letters.ts";
export * from "./hybrid.ts";
export * from "./position.ts";
export * from "./record.ts";
export * from "./segment.ts";
export * from "./sink.ts";
export * from "./snapshot.ts";
export * from "./source.ts";
export * from "./status.ts";
export * from "./store.ts";
export * from "./target.ts";
