/** Memory for the blocks of all uploads of streams together, however many there are at once. */

export interface UploadMemory {
  /**
   * Resolves when `bytes` more may be held, to that memory, whatever it held before. Callers are served in order, so nobody
   * starves; one that wants more than there is in all is served when nothing is held. A signal that fires while waiting rejects
   * with its reason. Whoever holds memory must not wait for more of it before it gives some back: an upload fills or sends one
   * block, and takes the next only then.
   */
  take(bytes: number, signal?: AbortSignal): Promise<Uint8Array<ArrayBuffer>>;
  /**
   * Gives back what was taken. `again`: nothing reads it any more, so that it may be filled for the next one; else it is gone at
   * once.
   */
  give(block: Uint8Array<ArrayBuffer>, again: boolean): void;
}

/** Eight blocks of the stores' 16 MiB: with a process of its own around it, 32 large objects at once stay below 512 MiB. */
export const UPLOAD_BYTES = 128 * 1024 ** 2;

export function createUploadMemory(limit: number = UPLOAD_BYTES): UploadMemory {
  let held = 0;
  /** For the next ones: pages that the kernel has given and filled with zeros before take a fifth of an upload's time. */
  const kept: Uint8Array<ArrayBuffer>[] = [];
  const waiting: { readonly bytes: number; readonly go: (block: Uint8Array<ArrayBuffer>) => void }[] = [];

  const drop = () => kept.splice(0).forEach(free);
  const blockOf = (bytes: number): Uint8Array<ArrayBuffer> => {
    const at = kept.findIndex(({ length }) => length === bytes);
    if (at >= 0) return kept.splice(at, 1)[0]!;
    // Of other sizes: with them, there would be more than the limit.
    drop();
    return new Uint8Array(bytes);
  };
  const serve = () => {
    for (let first = waiting[0]; first !== undefined; first = waiting[0]) {
      if (held > 0 && held + first.bytes > limit) return;
      held += first.bytes;
      waiting.shift();
      first.go(blockOf(first.bytes));
    }
  };
  return {
    async take(bytes, signal) {
      signal?.throwIfAborted();
      const { promise, resolve, reject } = Promise.withResolvers<Uint8Array<ArrayBuffer>>();
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
        return await promise;
      } finally {
        signal?.removeEventListener("abort", stop);
      }
    },
    give(block, again) {
      held -= block.length;
      if (again) kept.push(block);
      else free(block);
      serve();
      if (held === 0) drop();
    },
  };
}

/** At once: garbage of blocks grows to as much again before it is collected. */
function free(block: Uint8Array<ArrayBuffer>): void {
  block.buffer.transfer(0);
}
