/** The on-disk form of a backup, shared by the sink that writes it and the source that reads it. */
export * from "./alter_journal.ts";
export * from "./catalog_journal.ts";
export * from "./checksum.ts";
export * from "./delta_file.ts";
export * from "./drop_journal.ts";
export * from "./json_reader.ts";
export * from "./layout.ts";
export * from "./log_format.ts";
export * from "./log_reader.ts";
export * from "./log_writer.ts";
export * from "./manifest.ts";
export * from "./meta.ts";
export * from "./meta_decode.ts";
export * from "./meta_encode.ts";
export * from "./silence_journal.ts";
export * from "./text.ts";
