/** Events as a response that goes on: text/event-stream. */
import type { EventHub, ServerEvent } from "./events.ts";

export interface EventStreamOptions {
  readonly task: string | undefined;
  /** `Last-Event-ID`: what came later is said first. */
  readonly after: string | undefined;
  readonly closing: AbortSignal;
}

/** So often a comment is sent, so that a connection that is dead is found on both sides. */
const BEAT_MS = 15_000;

export function eventStream(events: EventHub, { task, after, closing }: EventStreamOptions): Response {
  const encoder = new TextEncoder();
  let end = () => {};
  const body = new ReadableStream<Uint8Array>({
    start(controller) {
      const send = (text: string) => {
        // A reader that does not read would keep everything in memory.
        if ((controller.desiredSize ?? 0) < -1000) return end();
        controller.enqueue(encoder.encode(text));
      };
      const say = (event: ServerEvent) => {
        if (task !== undefined && event.task !== task) return;
        send(`id: ${event.id}\nevent: ${event.type}\ndata: ${JSON.stringify(event)}\n\n`);
      };
      const beat = setInterval(() => send(":\n\n"), BEAT_MS);
      const listening = events.listen(say);
      let over = false;
      end = () => {
        if (over) return;
        over = true;
        clearInterval(beat);
        listening[Symbol.dispose]();
        closing.removeEventListener("abort", end);
        try {
          controller.close();
        } catch {
          // The reader has closed it.
        }
      };
      closing.addEventListener("abort", end, { once: true });
      send("retry: 2000\n\n");
      const id = /^\d+$/.test(after ?? "") ? Number(after) : undefined;
      // An id above all is of another clock: everything since the start is new then.
      if (id !== undefined) events.after(id > events.last ? 0 : id).forEach(say);
      if (closing.aborted) end();
    },
    cancel: () => end(),
  });
  return new Response(body, { headers: { "content-type": "text/event-stream; charset=utf-8" } });
}
