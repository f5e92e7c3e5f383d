/** The server beside a run, where the configuration has `server:`. */
import type { RunStatus } from "../pipeline/model/mod.ts";
import type { CommandContext } from "./context.ts";
import type { Sidecar } from "./server/mod.ts";

/** Undefined where none is asked for; a task of a server has none of its own. */
export async function startRunServer(context: CommandContext, status: () => RunStatus): Promise<Sidecar | undefined> {
  const { terminal, log, lines } = context;
  const config = context.config();
  if (config.server === undefined || lines) return undefined;
  const { startSidecar } = await import("./server/mod.ts");
  const shown = context.shown();
  const sidecar = startSidecar({
    config: config.server,
    pipeline: config.pipeline,
    masked: shown.config,
    redact: shown.redact,
    status,
    now: () => terminal.now(),
    onTrouble: (message) => log.warning(message),
  });
  log.info(`Listens at ${sidecar.url}`);
  return sidecar;
}
