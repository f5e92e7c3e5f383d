/** The columns of a Parquet schema: its leaves, with what stands above them. */
import type { ParquetType } from "./parquet_values.ts";

/** A schema element as the footer has it; a tree in preorder. */
export interface SchemaElement {
  readonly name: string;
  readonly type?: ParquetType;
  readonly type_length?: number;
  readonly repetition_type?: "REQUIRED" | "OPTIONAL" | "REPEATED";
  readonly num_children?: number;
  readonly field_id?: number;
}

/**
 * `flat`: a value a row. `list`: a list of fixed-size values a row, the one nested shape that is read (group, repeated group,
 * element). `nested`: any other.
 */
export type LeafForm = "flat" | "list" | "nested";

export interface Leaf {
  /** Of the top-level node, as the field id: a list has both above its element. */
  readonly name: string;
  readonly fieldId: bigint | undefined;
  readonly type: ParquetType;
  /** Bytes a value of a FIXED_LEN_BYTE_ARRAY (of a list: an element), otherwise 0. */
  readonly width: number;
  readonly form: LeafForm;
  /** Rows can be null. */
  readonly optional: boolean;
  /** Elements of a list can be null; none ever is. */
  readonly elementOptional: boolean;
}

const MOST_COLUMNS = 65_536;

/** Throws a plain error where the elements are no tree. */
export function leavesOf(schema: readonly SchemaElement[]): Leaf[] {
  const found: Leaf[] = [];
  let next = 0;
  const visit = (above: readonly SchemaElement[]): void => {
    const element = schema[next++];
    if (element === undefined) throw new Error("the schema ends early");
    const children = element.num_children ?? 0;
    const path = above.length === 0 && next === 1 ? [] : [...above, element];
    if (children === 0 && next > 1) found.push(leafOf(path));
    if (found.length > MOST_COLUMNS || above.length > 32) throw new Error("the schema has no end");
    for (let i = 0; i < children; i++) visit(path);
  };
  visit([]);
  if (next !== schema.length) throw new Error("the schema has elements that belong to nothing");
  return found;
}

/** `path`: from the top-level node to the leaf. */
function leafOf(path: readonly SchemaElement[]): Leaf {
  const [top] = path;
  const element = path.at(-1)!;
  if (top === undefined || element.type === undefined) throw new Error("a column has no type");
  const width = element.type === "FIXED_LEN_BYTE_ARRAY" ? element.type_length ?? 0 : 0;
  if (!Number.isInteger(width) || width < 0) throw new Error(`a column of ${width} bytes a value`);
  const [, middle] = path;
  const isList = path.length === 3 && top.num_children === 1 && top.repetition_type !== "REPEATED" &&
    middle!.num_children === 1 && middle!.repetition_type === "REPEATED" &&
    element.repetition_type !== "REPEATED" && element.type === "FIXED_LEN_BYTE_ARRAY" && width > 0;
  const isFlat = path.length === 1 && element.repetition_type !== "REPEATED";
  return {
    name: top.name,
    fieldId: top.field_id === undefined ? undefined : BigInt(top.field_id),
    type: element.type,
    width,
    form: isList ? "list" : isFlat ? "flat" : "nested",
    optional: top.repetition_type === "OPTIONAL",
    elementOptional: isList && element.repetition_type === "OPTIONAL",
  };
}
