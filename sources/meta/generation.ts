/** The release line that wrote the metadata, as major * 10 + minor: 2.2 -> 22, 2.6 -> 26. */
import type { FieldSchema } from "../../pipeline/proto/gen/schema_pb.ts";
import type { MetaReading } from "./snapshot.ts";

/** By the version of a registered session; where none is registered, the oldest line that has what is in the metadata. */
export function generationOf(reading: MetaReading): number {
  const [, major, minor] = /^v?(\d+)\.(\d+)/.exec(reading.serverVersion) ?? [];
  if (major !== undefined && minor !== undefined) return Number(major) * 10 + Number(minor);
  const schemas = reading.catalog.collections.map(({ schema }) => schema);
  const anyField = (test: (field: FieldSchema) => boolean): boolean => schemas.some(({ fields }) => fields.some(test));
  const anySegment = (test: (segment: MetaReading["allSegments"][number]) => boolean): boolean =>
    reading.allSegments.some(test);
  if (reading.streaming !== undefined || anySegment((segment) => segment.storageVersion >= 2n)) return 26;
  if (schemas.some((schema) => schema.structArrayFields.length > 0)) return 26;
  if (
    schemas.some((schema) => schema.functions.length > 0) ||
    anyField((field) => field.nullable || field.isFunctionOutput)
  ) return 25;
  if (anySegment((segment) => segment.isInvisible || segment.bm25logs.length > 0)) return 25;
  if (anySegment((segment) => segment.level !== 0)) return 24;
  return reading.databases.implied ? 22 : 23;
}
