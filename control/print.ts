/** Results on stdout. */
import { formatJson } from "../pipeline/json.ts";
import type { Terminal } from "./terminal.ts";

/** Lines for people, or one JSON document for scripts; 64-bit integers stay exact. */
export function printResult(
  context: { readonly terminal: Terminal; readonly json: boolean; readonly lines?: boolean },
  value: unknown,
  lines: () => readonly string[],
): void {
  if (context.lines === true) context.terminal.out(formatJson({ result: value }) + "\n");
  else if (context.json) context.terminal.out(formatJson(value, 2) + "\n");
  else printLines(context.terminal, lines());
}

export function printLines(terminal: Terminal, lines: readonly string[]): void {
  if (lines.length > 0) terminal.out(lines.join("\n") + "\n");
}
