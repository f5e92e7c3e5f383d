/** The command `serve`, and what helps beside it. */
import type { Command } from "commander";
import { examples, type ProgramParts } from "./program_parts.ts";
import type { SharedOptions } from "./session.ts";
import { runSession } from "./session_start.ts";

export function addServerCommands(program: Command, { terminal, done, shared }: ProgramParts): void {
  shared(program.command("serve"), { json: false })
    .description("run many pipelines as tasks: HTTP API, page, metrics")
    .addHelpText(
      "after",
      examples([
        ["tidemark serve --config server.yaml", "until it is stopped; tasks go on where they were at the next start"],
      ]),
    )
    .action(async (options: SharedOptions) => {
      const { serveCommand } = await import("./commands/serve.ts");
      done(await runSession(terminal, options, serveCommand));
    });
}
