/**
 * The one place that imports hyparquet-writer: Parquet files built in memory, row group by row group, Zstd compressed, with
 * statistics per row group so that a reader finds its rows without reading the rest.
 */
import { ByteWriter, ParquetWriter } from "hyparquet-writer";
import { constants, zstdCompressSync } from "node:zlib";

export interface ParquetColumnSpec {
  readonly name: string;
  readonly type: "int64" | "string" | "bytes";
  /** Default false: a required column. */
  readonly nullable?: boolean;
  /** Minimum and maximum per row group. Default: for int64 only. */
  readonly statistics?: boolean;
}

export type ParquetValues = readonly (bigint | string | Uint8Array | null)[];

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
    schema: [{ name: "schema", num_children: columns.length }, ...columns.map(element)],
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

function element({ name, type, nullable = false }: ParquetColumnSpec): Schema[number] {
  const repetition_type = nullable ? "OPTIONAL" : "REQUIRED";
  switch (type) {
    case "int64":
      return { name, type: "INT64", repetition_type };
    case "string":
      return { name, type: "BYTE_ARRAY", converted_type: "UTF8", logical_type: { type: "STRING" }, repetition_type };
    case "bytes":
      return { name, type: "BYTE_ARRAY", repetition_type };
  }
}
