/** The keys below one segment, gathered. */
import type { FieldFiles } from "../../pipeline/model/mod.ts";
import type { SegmentInfo } from "../../pipeline/proto/gen/data_coord_pb.ts";

export type LogKind = "binlog" | "deltalog" | "statslog" | "bm25log";

export interface SegmentParts {
  info: SegmentInfo | undefined;
  readonly logs: Record<LogKind, FieldFiles[]>;
  /** A key that names a file without an id or a path; matters only where the segment is read. */
  nameless: string | undefined;
}
