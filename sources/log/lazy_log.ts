/** A log whose client is loaded when it is first used: clients are most of the program's start. */
import type { LogSource, Queue } from "../../pipeline/model/mod.ts";

export function lazyLog(queue: Queue, load: () => Promise<LogSource>): LogSource {
  let opened: Promise<LogSource> | undefined;
  const log = () => opened ??= load();
  return {
    queue,
    topics: async (signal) => (await log()).topics(signal),
    bounds: async (...request) => (await log()).bounds(...request),
    async *tail(...request) {
      yield* (await log()).tail(...request);
    },
    retention: async (...request) => {
      const asked = await log();
      return await asked.retention?.(...request) ?? { ms: undefined, why: "Not known: the queue does not say it" };
    },
    measure: async (...request) => await (await log()).measure?.(...request),
    check: async (signal) => (await log()).check(signal),
    async close() {
      await (await opened)?.close();
    },
  };
}
