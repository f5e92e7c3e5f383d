/** Words that go with a number. */

/**
 * `one` behind the number 1, else `many`: ``${rows} ${plural(rows, "row")}``, ``${n} ${plural(n, "row is", "rows are")}``.
 * Default of `many`: `one` with an s.
 */
export function plural(count: number | bigint, one: string, many = `${one}s`): string {
  return BigInt(count) === 1n ? one : many;
}
