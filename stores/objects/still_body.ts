/** Bodies that stand still: one whose server is gone without a word would be read for ever. */
import type { BodyReader } from "./body_reader.ts";

/** So long a server may take for the next bytes of an object that is read, ms. */
export const STILL_MS = 120_000;

/**
 * Ends the body, and the read with a network error, where a read gets nothing for `ms`. Time in which nobody reads does not
 * count: whoever writes what is read may be slow.
 */
export function endingStill(reader: BodyReader, ms: number): BodyReader {
  let since: number | undefined;
  let still = false;
  let timer: ReturnType<typeof setTimeout> | undefined;
  const look = () => {
    timer = undefined;
    if (since === undefined) return;
    const left = since + ms - performance.now();
    if (left > 0) timer = setTimeout(look, left);
    else {
      still = true;
      reader.leave().catch(() => {});
    }
  };
  return {
    async read(into) {
      since = performance.now();
      // One for many reads: a body has thousands.
      timer ??= setTimeout(look, ms);
      try {
        const found = await reader.read(into);
        if (!still) return found;
      } catch (thrown) {
        if (!still) throw thrown;
      } finally {
        since = undefined;
      }
      throw Object.assign(new Error(`Nothing came for ${ms / 1000} s`), { code: "ETIMEDOUT" });
    },
    async leave() {
      clearTimeout(timer);
      await reader.leave();
    },
  };
}
