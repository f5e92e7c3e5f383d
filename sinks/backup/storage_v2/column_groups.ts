/**
 * Which fields a segment of storage V2 keeps together, and as what Parquet columns, as Milvus 2.6.2 and later lay them out
 * (internal/storagecommon/column_group_splitter.go, internal/storage/schema.go).
 */
import { TidemarkError } from "../../../pipeline/errors.ts";
import { isVector, widthOf } from "../../../pipeline/columns/mod.ts";
import { type CollectionSchema, DataType, type FieldSchema } from "../../../pipeline/proto/gen/schema_pb.ts";
import type { ParquetColumnSpec } from "../../../stores/mod.ts";

export const ROW_ID = 0n;
export const TIMESTAMP = 1n;

export interface V2Column {
  readonly fieldId: bigint;
  /** Undefined for row ids and timestamps. */
  readonly field: FieldSchema | undefined;
  readonly spec: ParquetColumnSpec;
}

export interface V2Group {
  readonly id: bigint;
  readonly columns: readonly V2Column[];
}

/**
 * Group 0 has row ids, timestamps, the primary, partition and clustering keys; each vector, text and array of vectors stands
 * alone, its group called by its field; the rest is group 1. In ascending order, as their list in each file is.
 * Throws `unsupported` for a type that has no column.
 */
export function columnGroups(schema: CollectionSchema): V2Group[] {
  const user = schema.fields.filter(({ fieldID }) => fieldID > TIMESTAMP).map(userColumn);
  const columns: V2Column[] = [
    ...user,
    systemColumn(ROW_ID, "RowID"),
    systemColumn(TIMESTAMP, "Timestamp"),
    ...schema.structArrayFields.flatMap(({ fields }) => fields.map(userColumn)),
  ];
  return [...Map.groupBy(columns, groupOf)]
    .map(([id, grouped]) => ({ id, columns: grouped }))
    .sort((a, b) => a.id < b.id ? -1 : 1);
}

/** `100,0,1;101,102;120`: the text of `group_field_id_list`. */
export function groupFieldIds(groups: readonly V2Group[]): string {
  return groups.map(({ columns }) => columns.map(({ fieldId }) => fieldId).join(",")).join(";");
}

function groupOf({ fieldId, field }: V2Column): bigint {
  if (field === undefined) return 0n;
  if (isVector(field.dataType) || field.dataType === DataType.Text) return fieldId;
  return field.isPrimaryKey || field.isPartitionKey || field.isClusteringKey ? 0n : 1n;
}

function systemColumn(fieldId: bigint, name: string): V2Column {
  return { fieldId, field: undefined, spec: { name, type: "int64", fieldId: Number(fieldId) } };
}

function userColumn(field: FieldSchema): V2Column {
  const { fieldID, name, nullable } = field;
  // Parquet's field ids have 32 bits.
  return { fieldId: fieldID, field, spec: { name, fieldId: Number(fieldID), nullable, ...formOf(field) } };
}

function formOf(field: FieldSchema): Pick<ParquetColumnSpec, "type" | "width" | "statistics"> {
  switch (field.dataType) {
    case DataType.Bool:
      return { type: "bool", statistics: true };
    case DataType.Int8:
      return { type: "int8", statistics: true };
    case DataType.Int16:
      return { type: "int16", statistics: true };
    case DataType.Int32:
      return { type: "int32", statistics: true };
    case DataType.Int64:
    case DataType.Timestamptz:
      return { type: "int64" };
    case DataType.Float:
      return { type: "float", statistics: true };
    case DataType.Double:
      return { type: "double", statistics: true };
    case DataType.String:
    case DataType.VarChar:
    case DataType.Text:
      return { type: "string", statistics: true };
    case DataType.JSON:
    case DataType.Array:
    case DataType.Geometry:
    case DataType.SparseFloatVector:
      return { type: "bytes" };
    case DataType.ArrayOfVector:
      return { type: "list", width: widthOf(field.elementType, dimensionOf(field)) };
    default: {
      const width = widthOf(field.dataType, dimensionOf(field));
      if (width === 0) {
        throw new TidemarkError(
          "unsupported",
          `Field ${field.name} is of type ${
            DataType[field.dataType] ?? field.dataType
          }, which storage V2 has no column for`,
        );
      }
      // Fixed-size columns cannot be null in what Milvus writes: nullable vectors are of variable size.
      return field.nullable ? { type: "bytes" } : { type: "fixed", width };
    }
  }
}

function dimensionOf(field: FieldSchema): number {
  return parseInt(field.typeParams.find(({ key }) => key === "dim")?.value ?? "0", 10);
}
