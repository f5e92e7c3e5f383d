/** `10%`, `0.1`: a share, 0 to 1. */
import { TidemarkError } from "../pipeline/errors.ts";

/** Throws `usage` naming the option. */
export function parseShare(text: string, option: string): number {
  const match = /^(\d+(?:\.\d+)?)(%?)$/.exec(text.trim());
  const value = match === null ? NaN : parseFloat(match[1]!) / (match[2] === "%" ? 100 : 1);
  if (value > 0 && value <= 1) return value;
  throw new TidemarkError("usage", `${option} ${text} is not a share`, {
    hint: "Give a percentage above 0 such as 10%, or a fraction such as 0.1.",
  });
}

/** A whole number of at least 1, undefined where the option was not given. Throws `usage` naming the option. */
export function parseCount(text: string | undefined, option: string): number | undefined {
  if (text === undefined) return undefined;
  if (/^[1-9]\d{0,8}$/.test(text.trim())) return parseFloat(text);
  throw new TidemarkError("usage", `${option} ${text} is not a number of backups`, {
    hint: "Give a whole number of at least 1.",
  });
}
