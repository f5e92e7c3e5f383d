/** Begins a session. Help and usage errors need none, nor what it loads: they are there at once. */
import type { Command, SharedOptions } from "./session.ts";
import type { Terminal } from "./terminal.ts";

/** As `session.ts` says. */
export async function runSession(raw: Terminal, options: SharedOptions, command: Command): Promise<number> {
  const session = await import("./session.ts");
  return await session.runSession(raw, options, command);
}
