/** The one place where an error is printed. */
import { TidemarkError, toTidemarkError } from "../pipeline/errors.ts";

const MAX_CAUSES = 4;

/**
 * Message, hint and the chain of causes; never a stack, unless it is asked for. Ends in a line break.
 *
 *     Error: No etcd endpoint answers at etcd:2379
 *       Because: connect ECONNREFUSED 10.0.0.1:2379
 *       Hint: Check sources.meta.endpoints and that the port is open from here.
 */
export function describeError(thrown: unknown, options: { readonly stack?: boolean } = {}): string {
  const error = toTidemarkError(thrown);
  const lines = [`Error: ${error.message}`];
  const said = [error.message];
  let cause: unknown = error.cause;
  for (let depth = 0; cause !== undefined && cause !== null && depth < MAX_CAUSES; depth++) {
    const message = oneLine(cause);
    // Wrapping often repeats the words of what it wraps.
    if (message !== "" && !said.some((text) => text.includes(message))) {
      lines.push(`  Because: ${message}`);
      said.push(message);
    }
    cause = cause instanceof Error ? cause.cause : undefined;
  }
  if (error.hint !== undefined) lines.push(`  Hint: ${error.hint}`);
  else if (error.code === "unexpected") {
    lines.push("  Hint: This is probably a bug. TIDEMARK_DEBUG=1 shows where it happened; please report it with that.");
  }
  if (options.stack === true) {
    for (let item: unknown = error; item instanceof Error; item = item.cause) lines.push(item.stack ?? String(item));
  }
  return lines.join("\n") + "\n";
}

/** For `--json`: the same as one object. */
export function errorObject(
  thrown: unknown,
): { error: { code: string; message: string; hint: string | null; exit: number } } {
  const error: TidemarkError = toTidemarkError(thrown);
  return { error: { code: error.code, message: error.message, hint: error.hint ?? null, exit: error.exitCode } };
}

function oneLine(cause: unknown): string {
  const text = cause instanceof Error ? cause.message : String(cause);
  const first = text.split("\n").map((line) => line.trim()).find((line) => line !== "") ?? "";
  return first.length > 300 ? `${first.slice(0, 297)}...` : first;
}
