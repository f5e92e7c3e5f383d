/** Values as Milvus' expressions write them. */

/**
 * A varchar literal. Milvus' string literals are Go's, and JSON's escapes are a subset of those: right for quotes,
 * backslashes, newlines, control characters, NUL, U+2028 and the empty string. Lone surrogates cannot occur: Milvus
 * stores UTF-8.
 */
export function stringLiteral(value: string): string {
  return JSON.stringify(value);
}

const INT64_MIN = -(2n ** 63n);

/** An int64 literal. 2.3's parser reads the digits before the sign, so that the smallest value is out of its range. */
export function int64Literal(value: bigint): string {
  return value === INT64_MIN ? `${INT64_MIN + 1n} - 1` : value.toString();
}
