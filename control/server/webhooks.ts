/**
 * Tells webhooks what happens: in order, each message until somebody takes it. Whoever emits an event waits for nothing: it is
 * put into a queue that is bounded.
 */
import type { ListenConfig, Notice } from "../../config/mod.ts";
import { rest } from "../../pipeline/pause.ts";
import { VERSION } from "../version.ts";
import type { EventHub, EventType, ServerEvent } from "./events.ts";
import { webhookHeaders } from "./webhook_signature.ts";

export interface WebhooksOptions {
  readonly webhooks: ListenConfig["webhooks"];
  readonly events: Pick<EventHub, "listen">;
  readonly now: () => Date;
  readonly log: { warning(message: string): void; error(message: string): void };
  /** Counts by what became of them: `sent`, `failed` (is tried again), `dropped`. */
  readonly counts: Map<NotificationResult, number>;
  /** Before the second attempt, ms; doubled with each further one up to `MOST_MS`. */
  readonly firstMs?: number;
  /** How long the end of the server waits for messages that are due. */
  readonly lastMs?: number;
}

export const NOTIFICATION_RESULTS = ["sent", "failed", "dropped"] as const;
export type NotificationResult = typeof NOTIFICATION_RESULTS[number];

/** Messages that wait for one webhook; of more the oldest is dropped. */
const QUEUE = 1000;
const FIRST_MS = 1000;
const MOST_MS = 5 * 60_000;
const ANSWER_MS = 15_000;
const LAST_MS = 5_000;

interface Message {
  readonly id: string;
  readonly event: ServerEvent;
  readonly body: string;
}

/** Until it is disposed, which gives what waits one last attempt. */
export function startWebhooks(options: WebhooksOptions): AsyncDisposable {
  const ends = options.webhooks.map((webhook) => startWebhook(webhook, options));
  return {
    [Symbol.asyncDispose]: async () => {
      await Promise.all(ends.map((end) => end()));
    },
  };
}

function startWebhook(webhook: ListenConfig["webhooks"][number], options: WebhooksOptions): () => Promise<void> {
  const { events, now, log, counts, firstMs = FIRST_MS, lastMs = LAST_MS } = options;
  const wanted: readonly EventType[] = webhook.events satisfies readonly Notice[];
  const host = new URL(webhook.url).host;
  const queue: Message[] = [];
  const ending = new AbortController();
  /** Later than `ending`: what is under way at the end is not sent twice. */
  const cut = new AbortController();
  let wake = () => {};
  const count = (result: NotificationResult) => counts.set(result, (counts.get(result) ?? 0) + 1);

  const listening = events.listen((event) => {
    if (!wanted.includes(event.type)) return;
    const { type, at: timestamp, task, message } = event;
    const body = JSON.stringify({ type, timestamp, data: { task, message } });
    queue.push({ id: `msg_${crypto.randomUUID()}`, event, body });
    if (queue.length > QUEUE) drop(queue.shift()!, `more than ${QUEUE} wait`);
    wake();
  });

  function drop({ event }: Message, why: string): void {
    count("dropped");
    log.error(`The webhook at ${host} was not told ${event.type} of ${event.task} (${event.message}): ${why}`);
  }

  /** Undefined where it was taken, otherwise why it was not. */
  async function attempt({ id, body }: Message): Promise<string | undefined> {
    try {
      const response = await fetch(webhook.url, {
        method: "POST",
        body,
        redirect: "manual",
        signal: AbortSignal.any([cut.signal, AbortSignal.timeout(ANSWER_MS)]),
        headers: {
          "content-type": "application/json",
          "user-agent": `tidemark/${VERSION}`,
          ...webhookHeaders({ id, at: now().getTime(), body }, webhook.secret),
        },
      });
      await response.body?.cancel();
      return response.ok ? undefined : `it answers with status ${response.status}`;
    } catch (error) {
      // The address may hold a secret, and the message of fetch holds the address.
      return (error as Error).message.replaceAll(webhook.url, host);
    }
  }

  async function deliver(message: Message): Promise<void> {
    const began = now().getTime();
    for (let failures = 0;; failures++) {
      const reason = await attempt(message);
      if (reason === undefined) {
        count("sent");
        return;
      }
      if (ending.signal.aborted) {
        queue.unshift(message);
        return;
      }
      count("failed");
      if (failures === 0) {
        log.warning(`The webhook at ${host} does not take a notification: ${reason}; it is tried again`);
      }
      if (now().getTime() - began >= webhook.give_up_after) return drop(message, reason);
      // Between half and all of it, so that many servers do not come at once.
      await rest(Math.min(MOST_MS, firstMs * 2 ** Math.min(failures, 20)) * (0.5 + Math.random() / 2), ending.signal);
      if (ending.signal.aborted) {
        queue.unshift(message);
        return;
      }
    }
  }

  const loop = (async () => {
    while (!ending.signal.aborted) {
      const message = queue.shift();
      if (message !== undefined) await deliver(message);
      else {
        await new Promise<void>((resolve) => wake = resolve);
      }
    }
  })();

  return async () => {
    listening[Symbol.dispose]();
    ending.abort();
    wake();
    const limit = setTimeout(() => cut.abort(), lastMs);
    await loop;
    for (let message = queue.shift(); message !== undefined; message = queue.shift()) {
      const reason = cut.signal.aborted ? "the server ends" : await attempt(message);
      if (reason === undefined) count("sent");
      else drop(message, reason);
    }
    clearTimeout(limit);
  };
}
