/** The command `serve`, and what helps beside it. */
import { Argument, type Command } from "commander";
import { EXIT } from "../pipeline/errors.ts";
import type { Shell } from "./completion.ts";
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
  program.command("completion").addArgument(new Argument("<shell>", "which shell").choices(["bash", "zsh", "fish"]))
    .description("print the script with which a shell completes tidemark")
    .addHelpText(
      "after",
      examples([
        ["tidemark completion bash > /etc/bash_completion.d/tidemark", "for every user"],
        ['tidemark completion zsh > "${fpath[1]}/_tidemark"', "then a new shell"],
        ["tidemark completion fish > ~/.config/fish/completions/tidemark.fish", "for one user"],
      ]),
    )
    .action(async (shell: Shell) => {
      const { completionScript } = await import("./completion.ts");
      terminal.out(completionScript(shell, program));
      done(EXIT.ok);
    });
}
