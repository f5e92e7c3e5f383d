/** `maintenance`: what milvus-cdc's operators turn while it runs. Its answers are sentences, never errors. */
import { type Level, LOG_LEVELS } from "../../log.ts";

/** zap's names for levels, and what they are here. */
const LEVELS: Readonly<Record<string, Level>> = {
  ...Object.fromEntries(LOG_LEVELS.map((level) => [level, level])),
  warn: "warning",
  dpanic: "error",
  panic: "error",
  fatal: "error",
};

export function maintenance(
  { operation, params }: { readonly operation: string; readonly params: Readonly<Record<string, unknown>> },
  setLevel: (level: Level) => void,
): string {
  // The others would write keys and fields of users' rows into the log.
  if (operation !== "set_log_level") return `unsupported operation: ${operation}`;
  if (params.log_level === undefined) return "log_level is required";
  const name = String(params.log_level);
  const level = LEVELS[name.toLowerCase()];
  if (level === undefined) {
    return `parse log level failed: unrecognized level: "${name}", expected one of ${LOG_LEVELS.join(", ")}`;
  }
  setLevel(level);
  return `set log level to ${name}`;
}
