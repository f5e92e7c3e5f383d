/** A webhook's receiver on the loopback interface. */
import { Webhook } from "standardwebhooks";

export interface Received {
  readonly id: string;
  // deno-lint-ignore no-explicit-any
  readonly body: any;
}

export interface Receiver extends AsyncDisposable {
  readonly url: string;
  /** Every attempt, in order; those whose signature is wrong have thrown and are not here. */
  readonly attempts: Received[];
  /** Those that were answered with 200. */
  readonly taken: Received[];
}

/** `answer` says with which status an attempt is answered, told how many there were before; undefined: never. */
export function receiver(secret: string, answer: (before: number) => number | undefined): Receiver {
  const attempts: Received[] = [];
  const taken: Received[] = [];
  const over = Promise.withResolvers<void>();
  const server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen: () => {} }, async (request) => {
    const text = await request.text();
    try {
      new Webhook(secret).verify(text, Object.fromEntries(request.headers));
    } catch {
      return new Response("The signature is wrong", { status: 401 });
    }
    const status = answer(attempts.length);
    const received = { id: request.headers.get("webhook-id")!, body: JSON.parse(text) };
    attempts.push(received);
    if (status === undefined) await over.promise;
    if (status === 200) taken.push(received);
    return new Response(null, { status: status ?? 503 });
  });
  return {
    url: `http://127.0.0.1:${server.addr.port}/hook`,
    attempts,
    taken,
    [Symbol.asyncDispose]: async () => {
      over.resolve();
      await server.shutdown();
    },
  };
}
