/** Waiting that a signal can end. */
import { TidemarkError } from "../../pipeline/errors.ts";

/** Throws `aborted` when the signal fired. */
export function throwIfAborted(signal: AbortSignal | undefined): void {
  if (signal?.aborted) throw new TidemarkError("aborted", "Stopped by request", { cause: signal.reason });
}
