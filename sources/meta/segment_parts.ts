/** The keys below one segment, gathered. */
import type { FieldFiles } from "../../pipeline/model/mod.ts";
import type { SegmentInfo } from "../../pipeline/proto/gen/data_coord_pb.ts";

export type LogKind = "binlog" | "deltalog" | "statslog" | "bm25log";

export interface SegmentParts {
  info: SegmentInfo | undefined;
  readonly logs: Record<LogKind, readonly FieldFiles[]>;
  /** Keys that name a file without an id or a path; they matter only where the segment is read. */
  nameless: readonly string[];
  /** A key names files of deletes by predicate. */
  predicates: boolean;
}
