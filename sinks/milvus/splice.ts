/**
 * Insert and upsert requests made without decoding a row: the serialised FieldData messages of the log (or of an
 * encoder) become field 5 of milvus.InsertRequest / UpsertRequest, whose numbers are the same for what is used here:
 * 2 db_name, 3 collection_name, 4 partition_name, 5 fields_data, 7 num_rows.
 */
import type { TargetName } from "../../pipeline/model/mod.ts";
import { DataType } from "../../pipeline/proto/gen/schema_pb.ts";
import { delimitedSize, varintSize, wireFields, writeDelimited, writeVarint } from "./wire.ts";

const TEXT = new TextEncoder();
const DECODER = new TextDecoder();

/** What a serialised schema.FieldData says of itself; its values are not looked at. */
export interface ColumnHead {
  readonly name: string;
  readonly isDynamic: boolean;
  readonly type: DataType;
  /** It has validity flags. */
  readonly hasFlags: boolean;
  readonly bytes: Uint8Array;
}

/** Reads the head of a FieldData: 1 type, 2 field_name, 6 is_dynamic, 7 valid_data. */
export function columnHead(bytes: Uint8Array): ColumnHead {
  let name = "";
  let isDynamic = false;
  let type: DataType = DataType.None;
  let hasFlags = false;
  for (const field of wireFields(bytes)) {
    if (field.number === 2 && field.wireType === 2) name = DECODER.decode(bytes.subarray(field.start, field.end));
    else if (field.number === 6 && field.wireType === 0) isDynamic = field.value !== 0;
    else if (field.number === 1 && field.wireType === 0) type = field.value;
    else if (field.number === 7) hasFlags = true;
  }
  return { name, isDynamic, type, hasFlags, bytes };
}

export interface Mutation {
  readonly target: TargetName;
  /** Undefined: not sent (partition-key collections refuse a name). */
  readonly partition: string | undefined;
  readonly rows: number;
  readonly columns: readonly Uint8Array[];
}

/** Size in bytes of what {@link spliceMutation} makes. */
export function mutationSize(mutation: Mutation): number {
  let size = delimitedSize(TEXT.encode(mutation.target.db).length) +
    delimitedSize(TEXT.encode(mutation.target.name).length) + 1 + varintSize(mutation.rows);
  if (mutation.partition !== undefined) size += delimitedSize(TEXT.encode(mutation.partition).length);
  for (const column of mutation.columns) size += delimitedSize(column.length);
  return size;
}

/** The serialised InsertRequest or UpsertRequest. Column bytes are copied once. */
export function spliceMutation(mutation: Mutation): Uint8Array {
  const body = new Uint8Array(mutationSize(mutation));
  let at = writeDelimited(body, 0, 2, TEXT.encode(mutation.target.db));
  at = writeDelimited(body, at, 3, TEXT.encode(mutation.target.name));
  if (mutation.partition !== undefined) at = writeDelimited(body, at, 4, TEXT.encode(mutation.partition));
  for (const column of mutation.columns) at = writeDelimited(body, at, 5, column);
  body[at] = 7 << 3;
  writeVarint(body, at + 1, mutation.rows);
  return body;
}
