/** `serve`: a server that runs pipelines as tasks. */
import { configError, loadServerConfig } from "../../config/mod.ts";
import { EXIT, TidemarkError } from "../../pipeline/errors.ts";
import type { CommandContext } from "../context.ts";
import { serve } from "../server/mod.ts";

/** Ends by a signal. Throws `config`, `usage`. */
export async function serveCommand({ files, terminal, log, stop }: CommandContext): Promise<number> {
  if (files.length === 0) {
    throw new TidemarkError("usage", "No configuration: expected --config FILE", {
      hint: "tidemark serve --config server.yaml; docs/server.md has one to start from.",
    });
  }
  const { config, problems, redact, cdcSources } = loadServerConfig(files, { environment: terminal.env });
  if (config === undefined) throw configError(problems, redact);
  await serve({
    file: config,
    cdcSources,
    variable: terminal.env,
    now: () => terminal.now(),
    log: {
      info: (message) => log.info(redact(message)),
      warning: (message) => log.warning(redact(message)),
      error: (message) => log.error(redact(message)),
    },
  }, stop);
  return EXIT.ok;
}
