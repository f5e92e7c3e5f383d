/** `lint`: every problem of the configuration. */
import { formatProblem, type LoadedConfig, loadServerConfig } from "../../config/mod.ts";
import { EXIT } from "../../pipeline/errors.ts";
import { printResult } from "../print.ts";
import type { Terminal } from "../terminal.ts";
import { plural } from "../../pipeline/units/mod.ts";

/** Problems go to stdout, one a line as `file:line:col: message`; the verdict to stderr. */
export function lintCommand(
  context: { readonly terminal: Terminal; readonly json: boolean },
  given: LoadedConfig,
): number {
  const loaded = isOfServer(given) ? loadServerConfig(given.files, { environment: context.terminal.env }) : given;
  const { problems, files } = loaded;
  printResult(
    context,
    problems.map(({ at, message }) => ({
      file: at.file,
      line: at.line,
      column: at.column,
      message: loaded.redact(message),
    })),
    () => problems.map((problem) => loaded.redact(formatProblem(problem))),
  );
  if (problems.length > 0) {
    context.terminal.err(`${problems.length} ${plural(problems.length, "problem")}\n`);
    return EXIT.config;
  }
  if (!context.json) context.terminal.err(`${files.join(" + ")}: no problems\n`);
  return EXIT.ok;
}

/** `tidemark serve` has a file of its own; a pipeline always has a name. */
function isOfServer({ root }: LoadedConfig): boolean {
  return root?.kind === "map" && !root.entries.has("pipeline") && !root.entries.has("sources") &&
    ["server", "tasks", "cdc"].some((key) => root.entries.has(key));
}
