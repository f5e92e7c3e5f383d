/** `cdc.sources` before the first task comes: what a task may not name is said when the server starts. */
import { type CheckedText, checkTaskText } from "../../../config/mod.ts";
import { TidemarkError } from "../../../pipeline/errors.ts";
import type { Access } from "../access.ts";
import { CDC_SINK } from "./pipeline.ts";

/** `lookup`: a variable that tasks may use. Throws `config`. */
export async function checkCdcSources(
  sources: unknown,
  { access, lookup }: { readonly access: Access; readonly lookup: (name: string) => string | undefined },
): Promise<void> {
  const text = JSON.stringify({
    pipeline: "cdc",
    sources,
    sinks: { [CDC_SINK]: { type: "milvus", address: "localhost:19530" } },
  });
  const { config, problems, redact }: CheckedText = checkTaskText(text, {
    environment: lookup,
    readText: (path) => {
      if (!access.mayRead(path)) throw new Deno.errors.PermissionDenied(path);
      return Deno.readTextFileSync(path);
    },
  });
  const found = [...problems, ...config === undefined ? [] : await access.check({ sources: config.sources })];
  if (found.length === 0) return;
  throw new TidemarkError(
    "config",
    redact(`No task can use cdc.sources:\n${found.map((one) => `  cdc${one.pointer}: ${one.message}`).join("\n")}`),
    { hint: "What tasks may use is said by server.environment, allowed_hosts and allowed_paths." },
  );
}
