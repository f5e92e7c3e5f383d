/** `tidemark status --json`, as a user asks for it beside the run. */
import { parseJson } from "../../pipeline/json.ts";
import type { RunStatus } from "../../pipeline/model/mod.ts";
import { untilStatus } from "../integration/pipeline/following.ts";
import type { Running } from "../integration/pipeline/running.ts";
import type { TidemarkSetup } from "../integration/pipeline/tidemark_process.ts";

/** What it says once it `holds`; to be asked of what stays so. */
export async function statusUntil(
  setup: TidemarkSetup,
  run: Running,
  what: string,
  holds: (status: RunStatus) => boolean,
): Promise<RunStatus> {
  await untilStatus(setup, run, what, holds);
  const { code, stdout, stderr } = await setup.command(["status", "--json"]);
  const status = code === 0 ? parseJson(stdout) as unknown as RunStatus : undefined;
  if (status === undefined || !holds(status)) throw new Error(`status --json: ${what}:\n${stdout}\n${stderr}`);
  return status;
}
