/** Memory for the blocks of all uploads of streams together, however many there are at once. */

export interface UploadMemory {
  /**
   * Resolves when `bytes` more may be held. Callers are served in order, so nobody starves; one that wants more than there is
   * in all is served when nothing is held. A signal that fires while waiting rejects with its reason. Whoever holds memory must
   * not wait for more of it before it gives some back: an upload fills or sends one block, and takes the next only then.
   */
  take(bytes: number, signal?: AbortSignal): Promise<void>;
  /** Gives back what was taken. */
  give(bytes: number): void;
}

/** Eight blocks of the stores' 16 MiB: with a process of its own around it, 32 large objects at once stay below 512 MiB. */
export const UPLOAD_BYTES = 128 * 1024 ** 2;

export function createUploadMemory(limit: number = UPLOAD_BYTES): UploadMemory {
  let held = 0;
  const waiting: { readonly bytes: number; readonly go: () => void }[] = [];

  const serve = () => {
    for (let first = waiting[0]; first !== undefined; first = waiting[0]) {
      if (held > 0 && held + first.bytes > limit) return;
      held += first.bytes;
      waiting.shift();
      first.go();
    }
  };
  return {
    async take(bytes, signal) {
      signal?.throwIfAborted();
      const { promise, resolve, reject } = Promise.withResolvers<void>();
      const mine = { bytes, go: resolve };
      const stop = () => {
        const at = waiting.indexOf(mine);
        if (at < 0) return;
        waiting.splice(at, 1);
        reject(signal!.reason);
        // It may have been the large one before smaller ones.
        serve();
      };
      signal?.addEventListener("abort", stop, { once: true });
      waiting.push(mine);
      serve();
      try {
        await promise;
      } finally {
        signal?.removeEventListener("abort", stop);
      }
    },
    give(bytes) {
      held -= bytes;
      serve();
    },
  };
}
