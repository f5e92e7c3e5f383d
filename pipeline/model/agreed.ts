/** What a target cannot take of a collection, and what was agreed to do about it. */

/**
 * `nulls`: the column is taken, its nulls are not; `column`: nothing of it is; `function`: what makes the column on the source
 * is not known there, its values are taken; `default`: nulls are taken, and the field's default is what becomes of them.
 */
export type Lack = "nulls" | "column" | "function" | "default";

export interface Gap {
  /** Of the field on the source. */
  readonly fieldId: bigint;
  readonly field: string;
  readonly lacks: Lack;
  /** The object of "does not know": `null values in field note`. */
  readonly what: string;
}

export interface TargetGaps {
  /** Who it is: `Milvus 2.3.5`. */
  readonly release: string;
  readonly gaps: readonly Gap[];
}

/**
 * What becomes of a column that a target does not take as it is; agreed when the column met the target, and kept as long as
 * the copy lives. `left_out`; `filled`: a value stands for each null; `plain`: the source's values, in a column that no
 * function makes; `defaulted`: each null is the field's default there, as the target itself would have it.
 */
export interface AgreedColumn {
  readonly fieldId: bigint;
  readonly field: string;
  readonly change: "left_out" | "filled" | "plain" | "defaulted";
  /** Why: `Milvus 2.3.5 does not know null values in field note`. */
  readonly why: string;
  /** What stands for a null, as text. Empty unless it is filled or defaulted. */
  readonly value: string;
  /** That value as a column of one row: a serialised schema.FieldData in base64. Empty where `value` is. */
  readonly column: string;
  /** Values that were left out, or nulls that got the value. What is written again after a crash counts again. */
  values: bigint;
}

export type AgreedStatus = Pick<AgreedColumn, "field" | "change" | "why" | "value" | "values">;

/**
 * What people are shown of it: everything but the column's bytes.
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * import { agreedStatus } from "./agreed.ts";
 *
 * const shown = { field: "note", change: "left_out", why: "Milvus 2.3.5 does not know it", value: "", values: 2n } as const;
 * assert.deepEqual(agreedStatus({ ...shown, fieldId: 102n, column: "" }), shown);
 * ```
 */
export function agreedStatus({ field, change, why, value, values }: AgreedColumn): AgreedStatus {
  return { field, change, why, value, values };
}

/**
 * One sentence without its full stop; with the numbers, where there are some.
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * import { agreedText } from "./agreed.ts";
 *
 * const why = "Milvus 2.3.5 does not know null values in field note";
 * const text = agreedText({ field: "note", change: "filled", why, value: '""', values: 2n });
 * assert.equal(text, `field note has "" for each null (2 so far): ${why}`);
 * ```
 */
export function agreedText({ field, change, why, value, values }: AgreedStatus): string {
  const times = values === 0n ? "" : ` (${values} so far)`;
  switch (change) {
    case "left_out":
      return `field ${field} is left out${values === 0n ? "" : ` (${values} values so far)`}: ${why}`;
    case "filled":
      return `field ${field} has ${value} for each null${times}: ${why}`;
    case "defaulted":
      return `field ${field} has its default ${value} for each null${times}: ${why}`;
    case "plain":
      return `field ${field} is a plain column with the source's values: ${why}`;
  }
}
