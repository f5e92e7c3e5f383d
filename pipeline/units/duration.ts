/** Durations as people write them: `500ms`, `10s`, `5m`, `2h`, `1h30m`, `7d`. */
import { z } from "zod";

const FACTORS: Readonly<Record<string, number>> = {
  ms: 1,
  s: 1000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
  w: 604_800_000,
};

const PART = /(\d+(?:\.\d+)?)\s*(ms|s|m|h|d|w)\s*/gy;

/** The form, for messages and the JSON Schema. */
export const DURATION_EXAMPLES = "500ms, 10s, 5m, 2h, 1h30m or 7d";

/** Whole milliseconds; undefined if `text` is not a duration. A unit is required, except for 0. */
export function parseDuration(text: string): number | undefined {
  const trimmed = text.trim();
  if (trimmed === "0") return 0;
  if (trimmed === "") return undefined;
  PART.lastIndex = 0;
  let total = 0;
  let at = 0;
  while (at < trimmed.length) {
    PART.lastIndex = at;
    const match = PART.exec(trimmed);
    if (match === null) return undefined;
    total += parseFloat(match[1]!) * FACTORS[match[2]!]!;
    at = PART.lastIndex;
  }
  const ms = Math.round(total);
  return Number.isSafeInteger(ms) ? ms : undefined;
}

/** `5400000` → `1h30m`; the two largest units, milliseconds below 10 s as `2.5s`. */
export function formatDuration(ms: number): string {
  if (!Number.isFinite(ms)) return "unknown";
  if (ms < 0) return `-${formatDuration(-ms)}`;
  if (ms < 1000) return `${Math.round(ms)}ms`;
  if (ms < 10_000) return `${(ms / 1000).toFixed(1).replace(/\.0$/, "")}s`;
  const seconds = Math.round(ms / 1000);
  const parts: [number, string][] = [
    [Math.floor(seconds / 86_400), "d"],
    [Math.floor(seconds / 3600) % 24, "h"],
    [Math.floor(seconds / 60) % 60, "m"],
    [seconds % 60, "s"],
  ];
  const first = parts.findIndex(([count]) => count > 0);
  return parts.slice(first, first + 2).filter(([count]) => count > 0).map(([count, unit]) => `${count}${unit}`).join(
    "",
  );
}

export interface DurationOptions {
  /** Shortest duration allowed, ms. Default 0. */
  readonly minMs?: number;
  readonly maxMs?: number;
}

/**
 * Schema of a configuration key that holds a duration; its checked value is in milliseconds.
 * @example
 * timeout: duration({ minMs: 1 }).prefault("10s").describe("…")
 */
export function duration(options: DurationOptions = {}): z.ZodType<number, string> {
  const { minMs = 0, maxMs = Number.MAX_SAFE_INTEGER } = options;
  return z.string().transform((value, context) => {
    const ms = parseDuration(value);
    if (ms === undefined) {
      context.addIssue({ code: "custom", message: `expected a duration such as ${DURATION_EXAMPLES}` });
      return z.NEVER;
    }
    if (ms < minMs) context.addIssue({ code: "custom", message: `expected at least ${formatDuration(minMs)}` });
    if (ms > maxMs) context.addIssue({ code: "custom", message: `expected at most ${formatDuration(maxMs)}` });
    return ms;
  }).meta({
    unit: "duration",
    ...(minMs === 0 ? {} : { least: formatDuration(minMs) }),
    ...(maxMs >= Number.MAX_SAFE_INTEGER ? {} : { most: formatDuration(maxMs) }),
  });
}
