/** Columns of rows as the cells of Parquet columns of storage V2. */
import { TidemarkError } from "../../../pipeline/errors.ts";
import { vectorsOfRow } from "../../../pipeline/columns/mod.ts";
import type { Column, ColumnBatch } from "../../../pipeline/model/mod.ts";
import type { ParquetCell } from "../../../stores/mod.ts";
import { ROW_ID, TIMESTAMP, type V2Column } from "./column_groups.ts";

/** Throws `unsupported` for a null where the schema allows none: Milvus' own reader would not take it either. */
export function cellsOf(wanted: V2Column, batch: ColumnBatch): ParquetCell[] {
  const { fieldId } = wanted;
  if (fieldId === TIMESTAMP) return Array.from(batch.timestamps!, (ts) => BigInt.asIntN(64, ts));
  const column = batch.columns.find((one) => one.fieldId === fieldId)!;
  // Row ids mean nothing but that each row has one: where the files have none, the row's number serves.
  const absent = (row: number) => fieldId === ROW_ID ? BigInt(batch.firstRow + row) : null;
  const valueOf = valuesOf(column, wanted);
  const cells: ParquetCell[] = new Array(batch.rows);
  for (let row = 0; row < batch.rows; row++) cells[row] = column.valid?.[row] === 0 ? absent(row) : valueOf(row);
  if (wanted.spec.nullable !== true && cells.includes(null)) {
    throw new TidemarkError(
      "unsupported",
      `Field ${column.name} (${fieldId}) has no value in row ${
        batch.firstRow + cells.indexOf(null)
      }, though it is not nullable`,
    );
  }
  return cells;
}

function valuesOf({ data, elementType, dim }: Column, { spec }: V2Column): (row: number) => ParquetCell {
  switch (data.kind) {
    case "bool":
      return (row) => data.values[row] === 1;
    case "fixed":
      return (row) => data.bytes.subarray(row * data.width, (row + 1) * data.width);
    case "bytes":
      if (spec.type !== "list") return (row) => data.values[row]!;
      return (row) => blocksOf(vectorsOfRow(elementType, dim, data.values[row]!), spec.width!);
    default:
      return (row) => data.values[row]!;
  }
}

function blocksOf(bytes: Uint8Array, width: number): Uint8Array[] {
  return Array.from(
    { length: bytes.length / width },
    (_, i) => bytes.subarray(i * width, (i + 1) * width),
  );
}
