/** Random columns of every data type, and the same column as protobuf-es sees it: the independent oracle. */
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import fc from "fast-check";
import type { Column, ColumnData } from "../../../pipeline/model/mod.ts";
import { DataType, type FieldData, FieldDataSchema, ScalarFieldSchema } from "../../../pipeline/proto/gen/schema_pb.ts";

export const TYPES: readonly DataType[] = [
  DataType.Bool,
  DataType.Int8,
  DataType.Int16,
  DataType.Int32,
  DataType.Int64,
  DataType.Float,
  DataType.Double,
  DataType.String,
  DataType.VarChar,
  DataType.Text,
  DataType.JSON,
  DataType.Array,
  DataType.Geometry,
  DataType.Timestamptz,
  DataType.FloatVector,
  DataType.BinaryVector,
  DataType.Float16Vector,
  DataType.BFloat16Vector,
  DataType.SparseFloatVector,
  DataType.Int8Vector,
];

const int64 = fc.oneof(
  fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }),
  fc.constantFrom(-(2n ** 63n), 2n ** 63n - 1n, 0n, -1n),
);
const bits32 = fc.oneof(
  fc.integer({ min: 0, max: 0xffffffff }),
  fc.constantFrom(0x7fc00001, 0xffc00000, 0x7f800000, 0x80000000),
);
const text = fc.string({ unit: "grapheme", maxLength: 12 });
const encoder = new TextEncoder();

export function arbitraryColumn(types: readonly DataType[] = TYPES, rowCount?: number): fc.Arbitrary<Column> {
  return fc.record({
    type: fc.constantFrom(...types),
    rows: rowCount === undefined ? fc.integer({ min: 0, max: 40 }) : fc.constant(rowCount),
    dim: fc.constantFrom(8, 16, 32),
    nullable: fc.boolean(),
    fieldId: fc.constantFrom(0n, 100n, 101n, 2n ** 40n),
    name: fc.constantFrom("a", "ünïcode", "$meta", ""),
    elementType: fc.constantFrom(
      DataType.Int64,
      DataType.VarChar,
      DataType.Int8,
      DataType.Float,
      DataType.Bool,
      DataType.Double,
    ),
  }).chain(({ type, rows, dim, nullable, fieldId, name, elementType }) =>
    fc.record({
      data: arbitraryData(type, rows, dim, elementType),
      valid: nullable
        ? fc.array(fc.constantFrom(0, 1), { minLength: rows, maxLength: rows }).map((flags) => Uint8Array.from(flags))
        : fc.constant(undefined),
      isDynamic: type === DataType.JSON ? fc.boolean() : fc.constant(false),
    }).map(({ data, valid, isDynamic }) => ({
      fieldId,
      name,
      type,
      elementType: type === DataType.Array ? elementType : DataType.None,
      dim: data.kind === "fixed" ? dim : 0,
      isDynamic,
      valid: rows === 0 ? undefined : valid,
      data,
    }))
  );
}

function list<T>(item: fc.Arbitrary<T>, rows: number): fc.Arbitrary<T[]> {
  return fc.array(item, { minLength: rows, maxLength: rows });
}

function arbitraryData(type: DataType, rows: number, dim: number, elementType: DataType): fc.Arbitrary<ColumnData> {
  switch (type) {
    case DataType.Bool:
      return list(fc.constantFrom(0, 1), rows).map((values) => ({ kind: "bool", values: Uint8Array.from(values) }));
    case DataType.Int8:
    case DataType.Int16:
    case DataType.Int32: {
      const bits = type === DataType.Int8 ? 7 : type === DataType.Int16 ? 15 : 31;
      const item = fc.oneof(
        fc.integer({ min: -(2 ** bits), max: 2 ** bits - 1 }),
        fc.constantFrom(-(2 ** bits), 2 ** bits - 1, 0, -1, 127),
      );
      return list(item, rows).map((values) => ({ kind: "int32", values: Int32Array.from(values) }));
    }
    case DataType.Int64:
    case DataType.Timestamptz:
      return list(int64, rows).map((values) => ({ kind: "int64", values: BigInt64Array.from(values) }));
    case DataType.Float:
      return list(bits32, rows).map((values) => ({
        kind: "float",
        values: new Float32Array(Uint32Array.from(values).buffer),
      }));
    case DataType.Double:
      return list(bits32, rows * 2).map((values) => ({
        kind: "double",
        values: new Float64Array(Uint32Array.from(values).buffer),
      }));
    case DataType.String:
    case DataType.VarChar:
    case DataType.Text:
      return list(fc.oneof(text, fc.string({ minLength: 100, maxLength: 600 })), rows)
        .map((values) => ({ kind: "utf8", values: values.map((value) => encoder.encode(value)) }));
    case DataType.JSON:
      return list(fc.json(), rows).map((values) => ({
        kind: "bytes",
        values: values.map((value) => encoder.encode(value)),
      }));
    case DataType.Array:
      return list(arbitraryArrayValue(elementType), rows).map((values) => ({ kind: "bytes", values }));
    case DataType.SparseFloatVector:
      return list(
        fc.uniqueArray(fc.integer({ min: 0, max: 0xfffffffe }), { maxLength: 5 }).chain((indexes) =>
          list(bits32, indexes.length).map((values) => {
            const pairs = new Uint32Array(indexes.length * 2);
            [...indexes].sort((a, b) => a - b).forEach((index, i) => pairs.set([index, values[i]!], i * 2));
            return new Uint8Array(pairs.buffer);
          })
        ),
        rows,
      ).map((values) => ({ kind: "bytes", values }));
    case DataType.Geometry:
      return list(fc.uint8Array({ maxLength: 30 }), rows).map((values) => ({ kind: "bytes", values }));
    default: {
      const width = type === DataType.FloatVector
        ? dim * 4
        : type === DataType.BinaryVector
        ? dim / 8
        : type === DataType.Int8Vector
        ? dim
        : dim * 2;
      return fc.uint8Array({ minLength: rows * width, maxLength: rows * width }).map((bytes) => ({
        kind: "fixed",
        width,
        bytes,
      }));
    }
  }
}

function arbitraryArrayValue(elementType: DataType): fc.Arbitrary<Uint8Array> {
  const bytes = (data: Parameters<typeof create<typeof ScalarFieldSchema>>[1]) =>
    toBinary(ScalarFieldSchema, create(ScalarFieldSchema, data));
  switch (elementType) {
    case DataType.Int64:
      return fc.array(int64, { maxLength: 6 }).map((data) => bytes({ data: { case: "longData", value: { data } } }));
    case DataType.VarChar:
      return fc.array(text, { maxLength: 6 }).map((data) => bytes({ data: { case: "stringData", value: { data } } }));
    case DataType.Float:
      return fc.array(fc.float({ noNaN: true }), { maxLength: 6 }).map((data) =>
        bytes({ data: { case: "floatData", value: { data } } })
      );
    case DataType.Double:
      return fc.array(fc.double({ noNaN: true }), { maxLength: 6 }).map((data) =>
        bytes({ data: { case: "doubleData", value: { data } } })
      );
    case DataType.Bool:
      return fc.array(fc.boolean(), { maxLength: 6 }).map((data) =>
        bytes({ data: { case: "boolData", value: { data } } })
      );
    default:
      return fc.array(fc.integer({ min: -128, max: 127 }), { maxLength: 6 }).map((data) =>
        bytes({ data: { case: "intData", value: { data } } })
      );
  }
}

/** Null slots as the wire has them: empty; so that columns can be compared value by value. */
export function withEmptyNulls(column: Column): Column {
  const { valid, data } = column;
  if (valid === undefined) return column;
  const clear = (put: (row: number) => void) => valid.forEach((flag, row) => flag === 0 && put(row));
  switch (data.kind) {
    case "utf8":
    case "bytes": {
      const values = [...data.values];
      clear((row) => values[row] = new Uint8Array());
      return { ...column, data: { ...data, values } };
    }
    case "fixed": {
      const bytes = data.bytes.slice();
      clear((row) => bytes.fill(0, row * data.width, (row + 1) * data.width));
      return { ...column, data: { ...data, bytes } };
    }
    case "int64": {
      const values = data.values.slice();
      clear((row) => values[row] = 0n);
      return { ...column, data: { ...data, values } };
    }
    default: {
      const values = data.values.slice();
      clear((row) => values[row] = 0);
      return { ...column, data: { ...data, values } as ColumnData };
    }
  }
}

/** The column as a message object, built value by value with the generated code. */
export function fieldDataOf(given: Column): FieldData {
  const column = withEmptyNulls(given);
  const { data, valid } = column;
  const scalars = (value: unknown) => ({ case: "scalars", value } as FieldData["field"]);
  const vectors = (value: object) => ({ case: "vectors", value } as FieldData["field"]);
  const present = <T>(values: ArrayLike<T>): T[] => Array.from(values).filter((_, row) => valid?.[row] !== 0);
  const field = (): FieldData["field"] => {
    switch (data.kind) {
      case "bool":
        return scalars({
          data: { case: "boolData", value: { data: Array.from(data.values, (value) => value === 1) } },
        });
      case "int32":
        return scalars({ data: { case: "intData", value: { data: Array.from(data.values) } } });
      case "int64":
        return scalars({
          data: {
            case: column.type === DataType.Timestamptz ? "timestamptzData" : "longData",
            value: { data: Array.from(data.values) },
          },
        });
      case "float":
        return scalars({ data: { case: "floatData", value: { data: Array.from(data.values) } } });
      case "double":
        return scalars({ data: { case: "doubleData", value: { data: Array.from(data.values) } } });
      case "utf8":
        return scalars({
          data: { case: "stringData", value: { data: data.values.map((value) => new TextDecoder().decode(value)) } },
        });
      case "bytes":
        switch (column.type) {
          case DataType.JSON:
            return scalars({ data: { case: "jsonData", value: { data: [...data.values] } } });
          case DataType.Geometry:
            return scalars({ data: { case: "geometryData", value: { data: [...data.values] } } });
          case DataType.Array:
            return scalars({
              data: { case: "arrayData", value: { data: data.values.map(scalarOf), elementType: column.elementType } },
            });
          default: {
            const contents = present(data.values);
            const dim = contents.reduce((max, value) => {
              const words = new Uint32Array(value.slice().buffer);
              return words.length === 0 ? max : Math.max(max, words[words.length - 2]! + 1);
            }, 0);
            return vectors({
              dim: BigInt(dim),
              data: { case: "sparseFloatVector", value: { contents, dim: BigInt(dim) } },
            });
          }
        }
      case "fixed": {
        const rows = present(
          Array.from(
            { length: data.bytes.length / data.width },
            (_, i) => data.bytes.subarray(i * data.width, (i + 1) * data.width),
          ),
        );
        const bytes = new Uint8Array(rows.length * data.width);
        rows.forEach((row, i) => bytes.set(row, i * data.width));
        const dim = BigInt(column.dim);
        switch (column.type) {
          case DataType.FloatVector:
            return vectors({
              dim,
              data: { case: "floatVector", value: { data: Array.from(new Float32Array(bytes.buffer)) } },
            });
          case DataType.BinaryVector:
            return vectors({ dim, data: { case: "binaryVector", value: bytes } });
          case DataType.Float16Vector:
            return vectors({ dim, data: { case: "float16Vector", value: bytes } });
          case DataType.BFloat16Vector:
            return vectors({ dim, data: { case: "bfloat16Vector", value: bytes } });
          default:
            return vectors({ dim, data: { case: "int8Vector", value: bytes } });
        }
      }
    }
  };
  return create(FieldDataSchema, {
    type: column.type,
    fieldName: column.name,
    fieldId: column.fieldId,
    isDynamic: column.isDynamic,
    validData: valid === undefined ? [] : Array.from(valid, (flag) => flag === 1),
    // deno-lint-ignore no-explicit-any
    field: field() as any,
  });
}

function scalarOf(bytes: Uint8Array) {
  return fromBinary(ScalarFieldSchema, bytes);
}
