/** A dead man's switch: says again and again that all is well, so that somebody notices when it is not said. */
import type { ListenConfig } from "../../config/mod.ts";
import { rest } from "../../pipeline/pause.ts";

export interface HeartbeatOptions {
  readonly heartbeat: ListenConfig["heartbeat"];
  /** Why it cannot do its work, as /readyz says it; undefined: it can. */
  readonly notReady: () => string | undefined;
  readonly log: { warning(message: string): void };
}

const ANSWER_MS = 15_000;

/** Until it is disposed. */
export function startHeartbeat({ heartbeat, notReady, log }: HeartbeatOptions): AsyncDisposable {
  if (heartbeat === undefined) return { [Symbol.asyncDispose]: () => Promise.resolve() };
  const { url, every } = heartbeat;
  const host = new URL(url).host;
  const over = new AbortController();
  let before = "";
  const beat = async () => {
    if (notReady() !== undefined) return;
    let trouble = "";
    try {
      const signal = AbortSignal.any([over.signal, AbortSignal.timeout(ANSWER_MS)]);
      const response = await fetch(url, { redirect: "manual", signal });
      await response.body?.cancel();
      if (!response.ok) trouble = `it answers with status ${response.status}`;
    } catch (error) {
      trouble = (error as Error).message.replaceAll(url, host);
    }
    if (trouble !== "" && trouble !== before && !over.signal.aborted) {
      log.warning(`The heartbeat does not reach ${host}: ${trouble}`);
    }
    before = trouble;
  };
  const loop = (async () => {
    while (!over.signal.aborted) {
      await beat();
      await rest(every, over.signal);
    }
  })();
  return {
    [Symbol.asyncDispose]: async () => {
      over.abort();
      await loop;
    },
  };
}
