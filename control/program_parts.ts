/** What the files that add commands to the program share. */
import type { Command } from "commander";
import type { Terminal } from "./terminal.ts";

/** Handed to the files that add commands. */
export interface ProgramParts {
  readonly terminal: Terminal;
  readonly done: (status: number) => void;
  /** Adds --config, --json and the options of the log. */
  readonly shared: (command: Command, options?: { readonly json?: boolean; readonly config?: boolean }) => Command;
}

/** The end of a usage text. */
export function examples(lines: readonly (readonly [command: string, what: string])[]): string {
  const width = Math.max(...lines.map(([command]) => command.length));
  return "\nExamples:\n" + lines.map(([command, what]) => `  ${command.padEnd(width)}  # ${what}`).join("\n");
}
