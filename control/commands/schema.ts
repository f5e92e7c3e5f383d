/** `schema`: the JSON Schema of the configuration. */
import { COMMITTED_SCHEMA, pipelineJsonSchemaText } from "../../config/mod.ts";
import { EXIT, TidemarkError } from "../../pipeline/errors.ts";
import type { Terminal } from "../terminal.ts";

export interface SchemaOptions {
  /** Compare with the committed file instead of printing. */
  readonly check: boolean;
  /** Default: reads the committed file. */
  readonly readCommitted?: () => string;
}

/** Prints the schema; with `check`, throws `config` if the committed file differs. */
export function schemaCommand(terminal: Terminal, options: SchemaOptions): number {
  const text = pipelineJsonSchemaText();
  if (!options.check) {
    terminal.out(text);
    return EXIT.ok;
  }
  const committed = (options.readCommitted ?? (() => Deno.readTextFileSync(COMMITTED_SCHEMA)))();
  if (committed === text) {
    terminal.err("config/pipeline.schema.json is up to date\n");
    return EXIT.ok;
  }
  throw new TidemarkError("config", "config/pipeline.schema.json is not what the specs say", {
    hint: "Write it again: deno run -A main.ts schema > config/pipeline.schema.json",
  });
}
