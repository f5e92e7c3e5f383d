/**
 * The one place that imports hyparquet-writer: Parquet files built in memory, row group by row group, Zstd compressed, with
 * statistics per row group so that a reader finds its rows without reading the rest.
 */
import { ByteWriter, ParquetWriter } from "hyparquet-writer";
import { constants, zstdCompressSync } from "node:zlib";

export interface ParquetColumnSpec {
  readonly name: string;
  /**
   * `string` takes texts or their UTF-8; `fixed` byte arrays of `width`; `list` arrays of such byte arrays, none of them null
   * (group, repeated group `list`, optional `element`, as Arrow writes it).
   */
  readonly type:
    | "bool"
    | "int8"
    | "int16"
    | "int32"
    | "int64"
    | "float"
    | "double"
    | "string"
    | "bytes"
    | "fixed"
    | "list";
  /** Bytes of a value of `fixed`, of an element of `list`. */
  readonly width?: number;
  /** SchemaElement.field_id of the top-level node. */
  readonly fieldId?: number;
  /** Default false: a required column. */
  readonly nullable?: boolean;
  /** Minimum and maximum per row group. Default: for int64 only. */
  readonly statistics?: boolean;
}

export type ParquetCell = bigint | number | boolean | string | Uint8Array | readonly Uint8Array[] | null;
export type ParquetValues = readonly ParquetCell[];

export interface ParquetFileOptions {
  /** FileMetaData.created_by. */
  createdBy: string;
  /** Zstd level, 1 to 22. Default 3. */
  level?: number;
}

export interface ParquetFile {
  /** Bytes encoded so far. */
  readonly bytes: number;
  /** One array of equal length per column, in the columns' order. */
  writeRowGroup(columns: readonly ParquetValues[]): void;
  /** The encoded bytes before the footer; valid until the next call. */
  body(): Uint8Array;
  /** Writes the footer with `metadata` as key/value pairs and gives the whole file. Nothing can be written afterwards. */
  finish(metadata?: Readonly<Record<string, string>>): Uint8Array;
}

type Schema = ConstructorParameters<typeof ParquetWriter>[0]["schema"];
type ColumnSources = Parameters<ParquetWriter["write"]>[0]["columnData"];

export function createParquetFile(columns: readonly ParquetColumnSpec[], options: ParquetFileOptions): ParquetFile {
  const params = { [constants.ZSTD_c_compressionLevel]: options.level ?? 3 };
  const bytes = new ByteWriter(64 * 1024);
  const writer = new ParquetWriter({
    writer: bytes,
    schema: [{ name: "schema", num_children: columns.length }, ...columns.flatMap(elements)],
    codec: "ZSTD",
    compressors: { ZSTD: (input) => zstdCompressSync(input, { params }) },
    createdBy: options.createdBy,
  });
  return {
    get bytes() {
      return bytes.offset;
    },
    writeRowGroup(values) {
      const rows = values[0]?.length ?? 0;
      if (rows === 0) return;
      const columnData = columns.map(({ name, type, statistics }, index) => ({
        name,
        data: values[index] as ColumnSources[number]["data"],
        statistics: statistics ?? type === "int64",
        ...PLAIN.includes(type) ? { encoding: "PLAIN" as const } : {},
      }));
      writer.write({ columnData, rowGroupSize: rows });
    },
    body: () => bytes.getBytes(),
    finish(metadata = {}) {
      writer.kvMetadata = Object.entries(metadata).map(([key, value]) => ({ key, value }));
      writer.finish();
      return bytes.getBytes();
    },
  };
}

/** A dictionary of these does not pay, or there is none. */
const PLAIN: readonly ParquetColumnSpec["type"][] = ["bool", "fixed", "list"];

function elements(spec: ParquetColumnSpec): Schema {
  const { name, type, width, fieldId, nullable = false } = spec;
  const top = {
    name,
    repetition_type: nullable ? "OPTIONAL" : "REQUIRED",
    ...(fieldId === undefined ? {} : { field_id: fieldId }),
  } as const;
  const block = { type: "FIXED_LEN_BYTE_ARRAY", type_length: width } as Pick<Schema[number], "type" | "type_length">;
  switch (type) {
    case "bool":
      return [{ ...top, type: "BOOLEAN" }];
    // Of the older of the format's two ways to say it: the library writes the width of the other one as a number of 32 bits,
    // where readers want 8.
    case "int8":
      return [{ ...top, type: "INT32", converted_type: "INT_8" }];
    case "int16":
      return [{ ...top, type: "INT32", converted_type: "INT_16" }];
    case "int32":
      return [{ ...top, type: "INT32" }];
    case "int64":
      return [{ ...top, type: "INT64" }];
    case "float":
      return [{ ...top, type: "FLOAT" }];
    case "double":
      return [{ ...top, type: "DOUBLE" }];
    case "string":
      return [{ ...top, type: "BYTE_ARRAY", converted_type: "UTF8", logical_type: { type: "STRING" } }];
    case "bytes":
      return [{ ...top, type: "BYTE_ARRAY" }];
    case "fixed":
      return [{ ...top, ...block }];
    case "list":
      return [
        { ...top, num_children: 1, converted_type: "LIST", logical_type: { type: "LIST" } },
        { name: "list", repetition_type: "REPEATED", num_children: 1 },
        { name: "element", repetition_type: "OPTIONAL", ...block },
      ];
  }
}
