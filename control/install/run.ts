/** Entry of `deno task install`. */
import { resolve } from "node:path";
import { toTidemarkError } from "../../pipeline/errors.ts";
import { describeError } from "../report_error.ts";
import { processTerminal } from "../terminal.ts";
import { install } from "./install.ts";

if (import.meta.main) {
  const terminal = processTerminal();
  try {
    const status = await install(terminal, {
      args: Deno.args,
      checkout: resolve(import.meta.dirname!, "../.."),
      deno: { path: Deno.execPath(), version: Deno.version.deno },
    });
    terminal.exit(status);
  } catch (thrown) {
    terminal.err(describeError(thrown));
    terminal.exit(toTidemarkError(thrown).exitCode);
  }
}
