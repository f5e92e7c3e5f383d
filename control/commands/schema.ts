/** `schema`: the JSON Schema of the configuration, and the reference page made from the same specs. */
import {
  COMMITTED_SCHEMA,
  pipelineJsonSchemaText,
  REFERENCE_PAGE,
  SERVER_PAGE,
  withReference,
  withServerReference,
} from "../../config/mod.ts";
import { EXIT, TidemarkError } from "../../pipeline/errors.ts";
import type { Terminal } from "../terminal.ts";

/** Files of the source tree, by their URL. */
export interface SourceTree {
  read(file: URL): string;
  write(file: URL, text: string): void;
}

export interface SchemaOptions {
  /** Compare with the committed files instead of printing. */
  readonly check: boolean;
  /** Write the committed files instead of printing. */
  readonly write: boolean;
  /** Default: the disk. */
  readonly tree?: SourceTree;
}

const DISK: SourceTree = { read: (file) => Deno.readTextFileSync(file), write: Deno.writeTextFileSync };

/** Prints the schema; with `check`, throws `config` if a committed file differs from what the specs say. */
export function schemaCommand(terminal: Terminal, { check, write, tree = DISK }: SchemaOptions): number {
  if (!check && !write) {
    terminal.out(pipelineJsonSchemaText());
    return EXIT.ok;
  }
  const made: readonly (readonly [path: string, file: URL, make: (committed: string) => string | undefined])[] = [
    ["config/pipeline.schema.json", COMMITTED_SCHEMA, pipelineJsonSchemaText],
    ["docs/configuration.md", REFERENCE_PAGE, withReference],
    ["docs/server.md", SERVER_PAGE, withServerReference],
  ];
  const stale: string[] = [];
  for (const [path, file, make] of made) {
    const committed = tree.read(file);
    const text = make(committed);
    if (text === undefined) {
      throw new TidemarkError("config", `${path} has lost the line after which the keys are listed`, {
        hint: "Take it back from the history of the file.",
      });
    }
    if (text === committed) continue;
    stale.push(path);
    if (write) tree.write(file, text);
  }
  if (check && stale.length > 0) {
    throw new TidemarkError("config", `${stale.join(" and ")}: not what the specs say`, {
      hint: "Write it again: deno task schema",
    });
  }
  terminal.err(
    stale.length > 0
      ? `Written: ${stale.join(", ")}\n`
      : `${new Intl.ListFormat("en").format(made.map(([path]) => path))} are up to date\n`,
  );
  return EXIT.ok;
}
