/** Object stores: S3 buckets, folders, memory; and what wraps around them. */
export * from "./bandwidth.ts";
export * from "./body.ts";
export * from "./file.ts";
export * from "./key.ts";
export * from "./link.ts";
export * from "./manners.ts";
export * from "./memory.ts";
export * from "./open.ts";
export * from "./retry.ts";
export type { S3StoreOptions } from "./s3.ts";
export * from "./same_object.ts";
export * from "./spec.ts";
export * from "./undecorated.ts";
export * from "./upload_memory.ts";
