/**
 * Insert and upsert requests made without decoding a row: the serialised FieldData messages of the log (or of an
 * encoder) become field 5 of milvus.InsertRequest / UpsertRequest, whose numbers are the same for what is used here:
 * 2 db_name, 3 collection_name, 4 partition_name, 5 fields_data, 7 num_rows.
 */
import type { TargetName } from "../../pipeline/model/mod.ts";
import { DataType } from "../../pipeline/proto/gen/schema_pb.ts";
import { delimitedHead, delimitedSize, varintSize, wireFields, writeDelimited, writeVarint } from "./wire.ts";

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

/**
 * The serialised InsertRequest or UpsertRequest as parts, one behind the other; together {@link mutationSize} bytes. The
 * columns are parts as they are: rows are copied only where they are sent.
 */
export function spliceMutation(mutation: Mutation): Uint8Array[] {
  const { target, partition, rows, columns } = mutation;
  const names = new Uint8Array(mutationSize({ ...mutation, columns: [] }) - 1 - varintSize(rows));
  let at = writeDelimited(names, 0, 2, TEXT.encode(target.db));
  at = writeDelimited(names, at, 3, TEXT.encode(target.name));
  if (partition !== undefined) writeDelimited(names, at, 4, TEXT.encode(partition));
  const count = new Uint8Array(1 + varintSize(rows));
  count[0] = 7 << 3;
  writeVarint(count, 1, rows);
  return [names, ...columns.flatMap((column) => [delimitedHead(5, column.length), column]), count];
}
