/** Numbers for JSON. */

/**
 * The double that prints as the shortest decimal which, rounded to float32, is `value` again: 0.1 and not
 * 0.10000000149011612. Infinities and NaN, which JSON cannot hold, become their names.
 */
export function shortFloat(value: number): number | string {
  if (!Number.isFinite(value)) return String(value);
  if (Number.isInteger(value) && Math.abs(value) < 1e7) return value;
  for (let digits = 1; digits < 9; digits++) {
    const candidate = Number(value.toPrecision(digits));
    if (Math.fround(candidate) === value) return candidate;
  }
  return Number(value.toPrecision(9));
}

export function plainDouble(value: number): number | string {
  return Number.isFinite(value) ? value : String(value);
}
