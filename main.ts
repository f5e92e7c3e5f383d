/** Entry: arguments in, exit status out. */
import { processTerminal, tidemark } from "./control/mod.ts";

if (import.meta.main) {
  const terminal = processTerminal();
  // Exits by itself, also where a server's socket would still keep the process.
  terminal.exit(await tidemark(Deno.args, terminal));
}
