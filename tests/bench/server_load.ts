/** What clients of a server's API do to it, and how long it takes. */
import type { Usage } from "./rig.ts";
import { usageOf } from "./rig.ts";

export interface Answers {
  /** ms of each, from the request to the last byte of the answer. */
  readonly ms: readonly number[];
  /** Of the last one. */
  readonly bytes: number;
}

/** `count` requests by `clients` at once, each of which sends its next one when the last was answered. Throws at the first failure. */
export async function ask(
  clients: number,
  count: number,
  request: (at: number) => Promise<Response>,
): Promise<Answers> {
  const ms: number[] = [];
  let next = 0;
  let bytes = 0;
  await Promise.all(Array.from({ length: clients }, async () => {
    for (let at = next++; at < count; at = next++) {
      const began = performance.now();
      const answer = await request(at);
      const body = await answer.bytes();
      ms.push(performance.now() - began);
      bytes = body.length;
      if (!answer.ok) throw new Error(`${answer.status} ${new TextDecoder().decode(body)}`);
    }
  }));
  return { ms, bytes };
}

export interface Heard {
  /** ms from the moment that the event says to its arrival at the last client. */
  readonly ms: readonly number[];
  /** Events that some client has not heard, or not once, or not in their order. */
  readonly lost: number;
}

export interface Streams extends AsyncDisposable {
  /** Resolves when every client has heard `events` of them. */
  heard(events: number): Promise<Heard>;
}

interface Stream {
  readonly ids: number[];
  readonly at: number[];
  readonly said: number[];
}

/** `clients` listeners of `/api/v1/events`, all of which listen when it resolves. */
export async function listenAll(url: string, clients: number): Promise<Streams> {
  let arrived = () => {};
  const streams: Stream[] = [];
  const readers: ReadableStreamDefaultReader<Uint8Array>[] = [];
  const readings: Promise<void>[] = [];
  for (let at = 0; at < clients; at++) {
    const answer = await fetch(`${url}/api/v1/events`);
    if (!answer.ok) throw new Error(`${answer.status} ${await answer.text()}`);
    const stream: Stream = { ids: [], at: [], said: [] };
    const first = Promise.withResolvers<void>();
    streams.push(stream);
    const reader = answer.body!.getReader();
    readers.push(reader);
    readings.push(read(reader, stream, () => (first.resolve(), arrived())));
    await first.promise;
  }
  return {
    heard: async (events) => {
      while (streams.some(({ ids }) => ids.length < events)) {
        await new Promise<void>((resolve) => arrived = resolve);
      }
      const { ids, said } = streams[0]!;
      const lost = ids.filter((id, n) => streams.some((stream) => stream.ids[n] !== id) || id !== ids[0]! + n).length;
      return { ms: ids.map((_, n) => Math.max(...streams.map(({ at }) => at[n]!)) - said[n]!), lost };
    },
    [Symbol.asyncDispose]: async () => {
      // Deno forgets a signal that only a fetch of long ago holds.
      await Promise.all(readers.map((reader) => reader.cancel()));
      await Promise.all(readings);
    },
  };
}

async function read(
  reader: ReadableStreamDefaultReader<Uint8Array>,
  { ids, at, said }: Stream,
  arrived: () => void,
): Promise<void> {
  const decoder = new TextDecoder();
  let rest = "";
  for (let { value, done } = await reader.read(); !done; { value, done } = await reader.read()) {
    const now = performance.timeOrigin + performance.now();
    const blocks = (rest + decoder.decode(value, { stream: true })).split("\n\n");
    rest = blocks.pop()!;
    for (const block of blocks) {
      const id = /^id: (\d+)$/m.exec(block);
      if (id === null) continue;
      ids.push(parseInt(id[1]!, 10));
      at.push(now);
      said.push(Date.parse(/"at":"([^"]+)"/.exec(block)![1]!));
    }
    arrived();
  }
}

/** What processes use while nobody asks anything. */
export interface Standing {
  /** MiB, at the end. */
  readonly rss: number;
  /** CPU seconds a minute. */
  readonly cpu: number;
}

/** The mean of each over `seconds`. */
export async function standing(pids: readonly number[], seconds: number): Promise<Standing> {
  const before = pids.map((pid) => usageOf(pid));
  await new Promise((resolve) => setTimeout(resolve, seconds * 1000));
  const after = pids.map((pid) => usageOf(pid));
  const mean = (pick: (one: Usage, at: number) => number) =>
    after.reduce((sum, one, at) => sum + pick(one, at), 0) / pids.length;
  return { rss: mean(({ rss }) => rss), cpu: mean(({ cpu }, at) => cpu - before[at]!.cpu) / seconds * 60 };
}
