/** What of a segment's rows goes to a target: its user columns in schema order. */
import { absentColumn } from "../columns/mod.ts";
import type { Column, ColumnBatch, Segment } from "../model/mod.ts";
import type { CollectionSchema } from "../proto/gen/schema_pb.ts";

/**
 * User columns of a batch in schema order, those of struct arrays behind them under their flattened names; function outputs
 * and system fields are left out, and a field that the batch lacks has its default, or nulls. Throws `damaged` for one that
 * can have neither.
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * import { create } from "@bufbuild/protobuf";
 * import type { Segment } from "../model/mod.ts";
 * import { CollectionSchemaSchema, DataType } from "../proto/gen/schema_pb.ts";
 * import { completeColumns } from "./complete_columns.ts";
 *
 * const schema = create(CollectionSchemaSchema, {
 *   fields: [{ fieldID: 101n, name: "note", dataType: DataType.VarChar, nullable: true }],
 * });
 * const segment = { id: 7n, storageVersion: 0n, binlogs: [] } as unknown as Segment;
 * const batch = { firstRow: 0, rows: 2, columns: [], timestamps: undefined };
 * const [note] = completeColumns(schema, batch, segment);
 * assert.deepEqual([...note!.valid!], [0, 0], "two nulls");
 * ```
 */
export function completeColumns(schema: CollectionSchema, batch: ColumnBatch, segment: Segment): Column[] {
  const columns = new Map(batch.columns.map((column) => [column.fieldId, column]));
  const fields = [
    ...schema.fields.filter(({ fieldID }) => fieldID >= 100n).map((field) => ({ field, inStruct: false })),
    ...schema.structArrayFields.flatMap(({ fields }) => fields.map((field) => ({ field, inStruct: true }))),
  ];
  return fields.filter(({ field }) => !field.isFunctionOutput).map(({ field, inStruct }) =>
    columns.get(field.fieldID) ?? absentColumn(field, batch.rows, { inStruct, what: `Segment ${segment.id}` })
  );
}
