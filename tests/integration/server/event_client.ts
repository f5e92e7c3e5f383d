/** A client of /api/v1/events that goes away and comes back, as a browser's EventSource does. */
import { eventually } from "../../stack/eventually.ts";

export interface HeardEvent {
  readonly id: number;
  readonly type: string;
  readonly task: string;
  readonly message: string;
}

export interface EventClient extends AsyncDisposable {
  readonly heard: readonly HeardEvent[];
  /** The server has ended the stream. */
  readonly ended: () => boolean;
  until(what: string, check: (heard: readonly HeardEvent[]) => boolean): Promise<void>;
}

/** `after`: Last-Event-ID. */
export async function listenToEvents(url: string, after?: number, client?: Deno.HttpClient): Promise<EventClient> {
  const response = await fetch(`${url}/api/v1/events`, {
    headers: after === undefined ? {} : { "last-event-id": String(after) },
    ...(client === undefined ? {} : { client }),
  });
  if (!response.ok) throw new Error(`${response.status} ${await response.text()}`);
  const heard: HeardEvent[] = [];
  let ended = false;
  const reader = response.body!.getReader();
  const reading = (async () => {
    let rest = "";
    try {
      for (let part = await reader.read(); !part.done; part = await reader.read()) {
        const blocks = (rest + new TextDecoder().decode(part.value)).split("\n\n");
        rest = blocks.pop()!;
        for (const block of blocks) {
          const data = /^data: (.*)$/m.exec(block);
          if (data !== null) heard.push(JSON.parse(data[1]!));
        }
      }
    } catch {
      // It went away.
    }
    ended = true;
  })();
  return {
    heard,
    ended: () => ended,
    until: (what, check) => eventually(what, () => check(heard), { progress: () => JSON.stringify(heard) }),
    [Symbol.asyncDispose]: async () => {
      // Deno forgets a signal that only a fetch of long ago holds, and waited for ever.
      await reader.cancel().catch(() => {});
      await reading;
    },
  };
}
