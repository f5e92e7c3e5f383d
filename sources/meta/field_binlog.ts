/**
 * data.FieldBinlog straight into the files it names. There are as many of these values as there are fields times segments,
 * so they are read by hand: generic messages took twice the time and three times the memory.
 */
import { BinaryReader, WireType } from "@bufbuild/protobuf/wire";
import type { FieldFiles, LogFile } from "../../pipeline/model/mod.ts";
import { damagedKey } from "./keys.ts";

export interface DecodedFieldBinlog {
  readonly files: FieldFiles;
  /** A file has neither an id nor a path. */
  readonly nameless: boolean;
}

const NO_FIELDS: readonly bigint[] = [];

/**
 * `folder`: of the segment or field, without a slash at the end. Field numbers: FieldBinlog fieldID 1, binlogs 2,
 * child_fields 3. Throws `damaged`.
 */
export function decodeFieldBinlog(value: Uint8Array, key: string, folder: string): DecodedFieldBinlog {
  let fieldId = 0n;
  let nameless = false;
  const childFields: bigint[] = [];
  const files: LogFile[] = [];
  try {
    const reader = new BinaryReader(value);
    while (reader.pos < reader.len) {
      const [field, wire] = reader.tag();
      if (field === 1) fieldId = BigInt(reader.int64());
      else if (field === 2) {
        const end = reader.uint32() + reader.pos;
        const file = logFile(reader, end, folder);
        if (file === undefined) nameless = true;
        else files.push(file);
      } else if (field === 3 && wire === WireType.LengthDelimited) {
        const end = reader.uint32() + reader.pos;
        while (reader.pos < end) childFields.push(BigInt(reader.int64()));
      } else if (field === 3) childFields.push(BigInt(reader.int64()));
      else reader.skip(wire, field);
    }
  } catch (cause) {
    throw damagedKey(key, `its ${value.length} bytes are no data.FieldBinlog: ${(cause as Error).message}`, cause);
  }
  // Exact lists: one that has grown by a push has room for sixteen more.
  const fields = childFields.length === 0 ? NO_FIELDS : childFields.slice();
  return { files: { fieldId, childFields: fields, files: files.slice() }, nameless };
}

/** Binlog: entries_num 1, timestamp_from 2, timestamp_to 3, log_path 4, log_size 5, logID 6. */
function logFile(reader: BinaryReader, end: number, folder: string): LogFile | undefined {
  let [entries, tsFrom, tsTo, size, logId] = [0n, 0n, 0n, 0n, 0n];
  let path = "";
  if (end > reader.len) throw new RangeError("premature end");
  while (reader.pos < end) {
    const [field, wire] = reader.tag();
    switch (field) {
      case 1:
        entries = BigInt(reader.int64());
        break;
      case 2:
        tsFrom = BigInt(reader.uint64());
        break;
      case 3:
        tsTo = BigInt(reader.uint64());
        break;
      case 4:
        path = reader.string();
        break;
      case 5:
        size = BigInt(reader.int64());
        break;
      case 6:
        logId = BigInt(reader.int64());
        break;
      default:
        reader.skip(wire, field);
    }
  }
  if (reader.pos !== end) throw new RangeError("a file reaches over its end");
  const id = logId !== 0n ? logId : idInPath(path);
  return id === undefined ? undefined : { path: [folder, id].join("/"), logId: id, entries, tsFrom, tsTo, size };
}

/** The last element of a path stored by 2.1 and before. */
export function idInPath(path: string): bigint | undefined {
  const last = path.slice(path.lastIndexOf("/") + 1);
  return /^\d{1,20}$/.test(last) ? BigInt(last) : undefined;
}
