/** The keys below one segment, gathered. */
import type { FieldFiles } from "../../pipeline/model/mod.ts";
import type { SegmentRecord } from "./segment_record.ts";

export type LogKind = "binlog" | "deltalog" | "statslog" | "bm25log";

export interface SegmentParts {
  info: SegmentRecord | undefined;
  readonly logs: Record<LogKind, readonly FieldFiles[]>;
  /** Keys that name a file without an id or a path; they matter only where the segment is read. */
  nameless: readonly string[];
  /** A key names files of deletes by predicate. */
  predicates: boolean;
}
