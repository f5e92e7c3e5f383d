/** Waiting that a signal can end. */
import { TidemarkError } from "../../pipeline/errors.ts";

/** Resolves after `ms`, or at once when the signal fires; the caller looks at the signal. */
export function pause(ms: number, signal?: AbortSignal): Promise<void> {
  if (signal?.aborted) return Promise.resolve();
  return new Promise((resolve) => {
    const done = (): void => {
      clearTimeout(timer);
      signal?.removeEventListener("abort", done);
      resolve();
    };
    const timer = setTimeout(done, ms);
    signal?.addEventListener("abort", done, { once: true });
  });
}

/** Throws `aborted` when the signal fired. */
export function throwIfAborted(signal: AbortSignal | undefined): void {
  if (signal?.aborted) throw new TidemarkError("aborted", "Stopped by request", { cause: signal.reason });
}
