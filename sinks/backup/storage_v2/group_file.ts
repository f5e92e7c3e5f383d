/** One file of one column group: a Parquet file whose row groups are cut at 1 MiB of the group's own columns in memory. */
import { createParquetFile, type ParquetCell, type ParquetColumnSpec } from "../../../stores/mod.ts";
import type { V2Group } from "./column_groups.ts";

/** As Milvus' own writer cuts them (milvus-storage, PackedRecordBatchWriter). */
const ROW_GROUP_BYTES = 1 << 20;
/** Of the files themselves, whatever storage version they belong to. */
const STORAGE_VERSION = "1.0.0";

export interface GroupFile {
  /** One array of cells per column of the group, all of one length. */
  add(cells: readonly (readonly ParquetCell[])[]): void;
  finish(): Uint8Array;
}

/** `fieldIds`: the text that all files of one write have in common. */
export function createGroupFile({ columns }: V2Group, fieldIds: string, createdBy: string): GroupFile {
  const specs = columns.map(({ spec }) => spec);
  const file = createParquetFile(specs, { createdBy });
  /** `memory bytes|rows|first row` of each row group. */
  const rowGroups: string[] = [];
  let held: ParquetCell[][] = specs.map(() => []);
  let bytes = 0;
  let first = 0;
  const cut = () => {
    const rows = held[0]!.length;
    if (rows === 0) return;
    file.writeRowGroup(held);
    const memory = specs.reduce((sum, spec, i) => sum + memoryOf(spec, held[i]!), 0);
    rowGroups.push(`${memory}|${rows}|${first}`);
    held = specs.map(() => []);
    bytes = 0;
    first += rows;
  };
  return {
    add(cells) {
      const rows = cells[0]!.length;
      for (let row = 0; row < rows; row++) {
        for (let i = 0; i < specs.length; i++) {
          const cell = cells[i]![row]!;
          held[i]!.push(cell);
          bytes += weightOf(specs[i]!, cell);
        }
        if (bytes >= ROW_GROUP_BYTES) cut();
      }
    },
    finish() {
      cut();
      return file.finish({
        storage_version: STORAGE_VERSION,
        row_group_metadata: rowGroups.join(";"),
        group_field_id_list: fieldIds,
      });
    },
  };
}

/** Bytes of a value in Arrow's memory; offsets of variable ones included, bitmaps not. */
function weightOf({ type, width = 0 }: ParquetColumnSpec, cell: ParquetCell): number {
  switch (type) {
    case "bool":
      return 1 / 8;
    case "int8":
      return 1;
    case "int16":
      return 2;
    case "int32":
    case "float":
      return 4;
    case "int64":
    case "double":
      return 8;
    case "fixed":
      return width;
    case "list":
      return 4 + width * (cell as readonly Uint8Array[] | null ?? []).length;
    case "string":
    case "bytes":
      return 4 + (cell as Uint8Array | null ?? "").length;
  }
}

/** Of a column in Arrow's memory: values, offsets (one more than rows) and, where something is null, a bitmap. */
function memoryOf(spec: ParquetColumnSpec, cells: readonly ParquetCell[]): number {
  const values = Math.ceil(cells.reduce<number>((sum, cell) => sum + weightOf(spec, cell), 0));
  const isVariable = spec.type === "string" || spec.type === "bytes" || spec.type === "list";
  const bitmap = cells.includes(null) ? Math.ceil(cells.length / 8) : 0;
  return values + (isVariable ? 4 : 0) + bitmap;
}
