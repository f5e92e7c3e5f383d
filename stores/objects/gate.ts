/** Lets at most `limit` tasks run at once; the others wait in order. */
export interface Gate {
  /** Runs `task` when there is room. A signal that fires while waiting rejects with its reason. */
  run<T>(task: () => Promise<T>, signal?: AbortSignal): Promise<T>;
}

export function createGate(limit: number): Gate {
  let free = limit;
  const waiting: (() => void)[] = [];

  const enter = (signal: AbortSignal | undefined): Promise<void> => {
    signal?.throwIfAborted();
    if (free > 0) {
      free--;
      return Promise.resolve();
    }
    return new Promise((resolve, reject) => {
      const go = () => {
        signal?.removeEventListener("abort", stop);
        resolve();
      };
      const stop = () => {
        waiting.splice(waiting.indexOf(go), 1);
        reject(signal!.reason);
      };
      waiting.push(go);
      signal?.addEventListener("abort", stop, { once: true });
    });
  };

  return {
    async run(task, signal) {
      await enter(signal);
      try {
        return await task();
      } finally {
        const next = waiting.shift();
        if (next === undefined) free++;
        else next();
      }
    },
  };
}
