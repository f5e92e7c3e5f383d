/** What a command is given. */
import type { Components, PipelineConfig } from "../config/mod.ts";
import type { Log } from "./log.ts";
import type { LiveBlock } from "./progress.ts";
import type { Terminal } from "./terminal.ts";

export interface CommandContext {
  /** Its output passes through the redactor. */
  readonly terminal: Terminal;
  readonly screen: LiveBlock;
  readonly log: Log;
  /** Results as JSON. */
  readonly json: boolean;
  /** One JSON object a line, for the server that started it: see `supervised.ts`. */
  readonly lines: boolean;
  /** The files of --config. */
  readonly files: readonly string[];
  /** Fires at the first SIGINT or SIGTERM. */
  readonly stop: AbortSignal;
  /** Fires at the second. */
  readonly kill: AbortSignal;
  /** The checked configuration. Throws `config` with every problem, `usage` where no file was given. */
  config(): PipelineConfig;
  /** The configuration without its secrets, and what takes them out of any text. */
  shown(): { readonly config: Readonly<Record<string, unknown>>; readonly redact: (text: string) => string };
  /** The components of the configuration; closed after the command. */
  components(): Components;
}
