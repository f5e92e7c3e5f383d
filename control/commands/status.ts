/** `status`: what the last checkpoint of a run says, read without disturbing it. */
import { EXIT, TidemarkError } from "../../pipeline/errors.ts";
import { parseRunState } from "../../pipeline/flow/state/run_state.ts";
import type { CommandContext } from "../context.ts";
import { parseStatus } from "../parse_status.ts";
import { printResult } from "../print.ts";
import { renderStatus, renderStatusFoot } from "../render_status.ts";

export async function statusCommand(context: CommandContext): Promise<number> {
  const store = await context.components().state();
  const text = await store.read(context.stop);
  const config = context.config();
  if (text === undefined) {
    throw new TidemarkError("not_found", `There is no state of ${config.pipeline} at ${store.location}`, {
      hint: "Start a run first: tidemark run. If one runs already, give the same --config as it has.",
    });
  }
  const status = parseStatus(parseRunState(text, store.location).status);
  if (status === undefined) {
    throw new TidemarkError("not_found", `The state ${store.location} has no status yet`, {
      hint: "A run writes it with its first checkpoint; ask again in a few seconds.",
    });
  }
  printResult(
    context,
    status,
    () => [...renderStatus(status, context.terminal.width()), ...renderStatusFoot(status, context.terminal.now())],
  );
  return EXIT.ok;
}
