/** The primary keys of rows that stay encoded: only the key's column is read. */
import { TidemarkError } from "../errors.ts";
import type { Column, Keys } from "../model/mod.ts";
import { DataType, type FieldSchema } from "../proto/gen/schema_pb.ts";
import { int64Of } from "./decode.ts";
import { type FieldFrame, parseFrame } from "./frame.ts";
import { decodeUtf8, isAscii } from "./utf8.ts";
import { countVarints } from "./varints.ts";
import { broken, WireReader } from "./wire.ts";

export type KeyField = Pick<FieldSchema, "fieldID" | "name" | "dataType">;

/**
 * Keys of `rows` rows. The column is found by field id, or by name where no column carries the id (old writers leave ids
 * out). int64 keys come as a BigInt64Array. Throws `damaged` if the column is missing or does not fit.
 */
export function keysOf(fieldsData: readonly Uint8Array[], key: KeyField, rows: number): Keys {
  const frame = keyFrame(fieldsData, key);
  const found = frame.layout === undefined || frame.valid !== undefined
    ? undefined
    : frame.layout.group === 3 && frame.layout.field === 3
    ? int64Keys(frame)
    : frame.layout.group === 3 && frame.layout.field === 6
    ? varcharKeys(frame, rows)
    : undefined;
  if (found === undefined) throw broken(`the key column ${key.name} has no int64 or varchar values`);
  if ((found.kind === "int64") !== (key.dataType === DataType.Int64)) {
    throw broken(`the key column ${key.name} should be ${DataType[key.dataType]} and is ${found.kind}`);
  }
  if (found.values.length !== rows) {
    throw broken(`the key column ${key.name} has ${found.values.length} values for ${rows} rows`);
  }
  return found;
}

/** The keys of a decoded column. Throws `damaged` for text that is not UTF-8, `unexpected` for no key type. */
export function keysOfColumn(column: Column): Keys {
  const { data } = column;
  if (data.kind === "int64") return { kind: "int64", values: data.values };
  if (data.kind !== "utf8") {
    throw new TidemarkError("unexpected", `Column ${column.name} (${DataType[column.type]}) cannot be a primary key`);
  }
  return {
    kind: "varchar",
    values: data.values.map((bytes, row) => {
      const text = decodeUtf8(bytes);
      if (text === undefined) throw broken(`column ${column.name}, row ${row}: the text is not valid UTF-8`);
      return text;
    }),
  };
}

function keyFrame(fieldsData: readonly Uint8Array[], key: KeyField): FieldFrame {
  let byName: Uint8Array | undefined;
  for (const bytes of fieldsData) {
    const head = headOf(bytes);
    if (head.fieldId === key.fieldID) return parseFrame(bytes);
    if (byName === undefined && nameEquals(head.name, key.name)) byName = bytes;
  }
  if (byName === undefined) {
    throw broken(
      `there is no column for the primary key ${key.name} (field ${key.fieldID}) among ${fieldsData.length}`,
    );
  }
  return parseFrame(byName);
}

const NO_NAME = new Uint8Array();

/** As describeFieldData, but leaves the name undecoded: this runs for every message. */
function headOf(bytes: Uint8Array): { fieldId: bigint; name: Uint8Array } {
  let fieldId = 0n;
  let name: Uint8Array = NO_NAME;
  const reader = new WireReader(bytes);
  while (!reader.done) {
    const tag = reader.uint32();
    if (tag === 0x28) fieldId = reader.int64();
    else if (tag === 0x12) name = reader.view();
    else reader.skip(tag & 7);
  }
  return { fieldId, name };
}

function nameEquals(bytes: Uint8Array, name: string): boolean {
  return decodeUtf8(bytes) === name;
}

function int64Keys(frame: FieldFrame): Keys {
  return { kind: "int64", values: int64Of(frame.payload, countVarints(frame.payload)) };
}

/** One decode per piece: a single-byte charset keeps positions, so ASCII keys are cut out of one string. */
function varcharKeys(frame: FieldFrame, rows: number): Keys {
  const values: string[] = [];
  for (const piece of frame.payload) {
    const all = new TextDecoder("latin1").decode(piece);
    const reader = new WireReader(piece);
    while (!reader.done) {
      reader.uint32();
      const length = reader.uint32();
      const start = reader.pos;
      const end = start + length;
      if (end > piece.length) throw broken(`the key column ${frame.name} is cut off`);
      reader.pos = end;
      if (isAscii(piece, start, end)) {
        values.push(all.slice(start, end));
        continue;
      }
      const text = decodeUtf8(piece.subarray(start, end));
      if (text === undefined) {
        throw broken(`column ${frame.name}, row ${values.length} of ${rows}: the text is not valid UTF-8`);
      }
      values.push(text);
    }
  }
  return { kind: "varchar", values };
}
