/**
 * Requests that get no answer: a server that hangs shows long before its requests time out. One that answers others
 * meanwhile does not hang: it is busy, or the request waits for its turn.
 */
import { TidemarkError } from "../../pipeline/errors.ts";

export interface SlowWatch {
  /** Runs `task`; `slow` is called once where it takes longer than `ms`. */
  during<T>(what: string, ms: number, slow: (error: TidemarkError) => void, task: () => Promise<T>): Promise<T>;
  /** The chunks of a body that is sent; what its source takes for the next one does not count, what the server takes does. */
  feeding(
    body: AsyncIterable<Uint8Array>,
    what: string,
    ms: number,
    slow: (error: TidemarkError) => void,
  ): { readonly body: AsyncIterable<Uint8Array>; end(): void };
}

export function createSlowWatch(location: string): SlowWatch {
  let answered = 0;
  /** The returned function ends it. */
  const after = (what: string, ms: number, slow: (error: TidemarkError) => void): () => void => {
    let timer: ReturnType<typeof setTimeout>;
    const look = () => {
      const left = answered + ms - performance.now();
      if (left > 1) timer = setTimeout(look, left);
      else slow(new TidemarkError("unreachable", `${location} has not answered for ${ms / 1000} s: ${what}`));
    };
    timer = setTimeout(look, ms);
    return () => clearTimeout(timer);
  };
  return {
    async during(what, ms, slow, task) {
      const end = after(what, ms, slow);
      try {
        const result = await task();
        answered = performance.now();
        return result;
      } finally {
        end();
      }
    },
    feeding(body, what, ms, slow) {
      let end = () => {};
      return {
        body: {
          async *[Symbol.asyncIterator]() {
            for await (const chunk of body) {
              end = after(what, ms, slow);
              yield chunk;
              end();
              answered = performance.now();
            }
            end = after(what, ms, slow);
          },
        },
        end: () => end(),
      };
    },
  };
}
