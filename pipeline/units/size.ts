/** Sizes as people write them: `64MiB`, `1.5GiB`, `200kB`, or plain bytes. */
import { z } from "zod";

const FACTORS: Readonly<Record<string, number>> = {
  "": 1,
  b: 1,
  kb: 1e3,
  mb: 1e6,
  gb: 1e9,
  tb: 1e12,
  kib: 2 ** 10,
  mib: 2 ** 20,
  gib: 2 ** 30,
  tib: 2 ** 40,
};

const FORM = /^(\d+(?:\.\d+)?)\s*([a-z]*)$/i;

/** The form, for messages and the JSON Schema. */
export const SIZE_EXAMPLES = "64MiB, 1.5GiB, 200kB or a number of bytes";

/** Whole bytes, rounded down; undefined if `text` is not a size. kB, MB, GB, TB are powers of 1000. */
export function parseSize(text: string | number): number | undefined {
  if (typeof text === "number") return Number.isSafeInteger(text) && text >= 0 ? text : undefined;
  const match = FORM.exec(text.trim());
  if (match === null) return undefined;
  const factor = FACTORS[match[2]!.toLowerCase()];
  if (factor === undefined) return undefined;
  const bytes = Math.floor(parseFloat(match[1]!) * factor);
  return Number.isSafeInteger(bytes) ? bytes : undefined;
}

/** `1536` → `1.5 KiB`; three significant digits. */
export function formatSize(bytes: number | bigint): string {
  let value = typeof bytes === "bigint" ? parseFloat(bytes.toString()) : bytes;
  const units = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];
  let unit = 0;
  while (Math.abs(value) >= 1024 && unit < units.length - 1) {
    value /= 1024;
    unit++;
  }
  const digits = unit === 0 || Math.abs(value) >= 100 ? 0 : Math.abs(value) >= 10 ? 1 : 2;
  return `${value.toFixed(digits).replace(/\.0+$|(\.\d*?)0+$/, "$1")} ${units[unit]}`;
}

export interface SizeOptions {
  /** Smallest number of bytes allowed. Default 0. */
  readonly min?: number;
  readonly max?: number;
}

/**
 * Schema of a configuration key that holds a size; its checked value is a number of bytes.
 * @example
 * in_flight: size().prefault("256MiB").describe("…")
 */
export function size(options: SizeOptions = {}): z.ZodType<number, string | number> {
  const { min = 0, max = Number.MAX_SAFE_INTEGER } = options;
  return z.union([z.string(), z.number()]).transform((value, context) => {
    const bytes = parseSize(value);
    if (bytes === undefined) {
      context.addIssue({ code: "custom", message: `expected a size such as ${SIZE_EXAMPLES}` });
      return z.NEVER;
    }
    if (bytes < min) context.addIssue({ code: "custom", message: `expected at least ${formatSize(min)}` });
    if (bytes > max) context.addIssue({ code: "custom", message: `expected at most ${formatSize(max)}` });
    return bytes;
  }).meta({
    unit: "size",
    ...(min === 0 ? {} : { least: formatSize(min) }),
    ...(max >= Number.MAX_SAFE_INTEGER ? {} : { most: formatSize(max) }),
  });
}
