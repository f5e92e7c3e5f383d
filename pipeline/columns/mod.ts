/** Columns: hand-written schema.FieldData, row operations on encoded columns, values for people, digests. */
export { absentColumn, type AbsentOptions } from "./absent.ts";
export { canonicalJson } from "./canonical_json.ts";
export { decodeFieldData } from "./decode.ts";
export { columnDigests, type DigestOptions, rowDigests } from "./digest.ts";
export { encodeColumn, rowsOf } from "./encode.ts";
export { countValues, type Filled, fillNulls, repeatValue } from "./fill.ts";
export { DEFAULT_FILL, fillColumn, type FillValues } from "./fill_value.ts";
export { describeFieldData, type FieldHead } from "./frame.ts";
export { type KeyField, keysOf, keysOfColumn } from "./keys.ts";
export { arrayLengths, byteLengths, rowsWithoutNumber } from "./lengths.ts";
export { mergeFieldsData, type RowsPart } from "./merge.ts";
export { isVector, widthOf } from "./layout.ts";
export { vectorsOfRow, vectorsRow } from "./nested.ts";
export { geometryOfText, textOfGeometry } from "./geometry.ts";
export {
  compactNulls,
  dropColumns,
  geometryToBinary,
  geometryToText,
  type NewHead,
  renameColumns,
  withoutFlags,
} from "./reshape.ts";
export { selectRows } from "./select.ts";
export { columnToJson } from "./values.ts";
export { int64Literal, stringLiteral } from "./literals.ts";
