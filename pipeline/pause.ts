/** Waiting that a signal can end. */

/** Resolves after `ms`; rejects with the signal's reason when it fires first. */
export function pause(ms: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal?.aborted) return reject(signal.reason);
    const timer = setTimeout(() => {
      signal?.removeEventListener("abort", stop);
      resolve();
    }, ms);
    const stop = () => {
      clearTimeout(timer);
      reject(signal!.reason);
    };
    signal?.addEventListener("abort", stop, { once: true });
  });
}

/** Resolves after `ms`, or at once when the signal fires: the caller looks at the signal. */
export async function rest(ms: number, signal?: AbortSignal): Promise<void> {
  await pause(ms, signal).catch(() => {});
}
