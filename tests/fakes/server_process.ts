/** `tidemark serve`, whose tasks are processes of `task_process.ts`. Arguments: the file of the configuration. */
import { loadServerConfig } from "../../config/mod.ts";
import { serve } from "../../control/server/mod.ts";

const { config, problems, cdcSources } = loadServerConfig([Deno.args[0]!]);
if (config === undefined) throw new Error(JSON.stringify(problems));
const stop = new AbortController();
Deno.addSignalListener("SIGTERM", () => stop.abort());
const line = (message: string) => Deno.stderr.writeSync(new TextEncoder().encode(message + "\n"));
await serve({
  file: config,
  cdcSources,
  variable: (name) => Deno.env.get(name),
  now: () => new Date(),
  log: { info: line, warning: line, error: line },
  program: [
    Deno.execPath(),
    "run",
    "-A",
    "--quiet",
    "--no-check",
    "--v8-flags=--max-old-space-size=128",
    new URL("task_process.ts", import.meta.url).pathname,
  ],
}, stop.signal);
Deno.exit(0);
