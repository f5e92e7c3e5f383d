import assert from "node:assert/strict";
import { TidemarkError } from "../../../pipeline/errors.ts";
import type { LogBounds, LogFetch, LogRecord } from "../../../pipeline/model/mod.ts";
import type { LogState } from "../../../sources/log/outage.ts";
import { type TopicPort, TopicTail } from "../../../sources/log/topic_tail.ts";

const never = new AbortController().signal;

function protocolError(apiId: string): Error {
  return Object.assign(new Error("Received response with error"), {
    errors: [Object.assign(new Error(apiId), { apiId })],
  });
}

function page(offset: bigint, count: number): LogFetch {
  const records: LogRecord[] = Array.from({ length: count }, (_, i) => {
    return { topic: "t", offset: offset + BigInt(i), timestampMs: 0n, headers: [], value: null };
  });
  return { records, highWatermark: 100n, next: offset + BigInt(count) };
}

/** Answers each fetch with the next step; an Error is thrown. */
class Port implements TopicPort {
  readonly topic = "t";
  readonly what = "Kafka at k:9092";
  readonly asked: bigint[] = [];
  readonly #steps: (Error | ((offset: bigint) => LogFetch))[];
  held: LogBounds = { earliest: 0n, latest: 100n, topicId: "a" };
  boundsError: Error | undefined;
  closeError: Error | undefined;
  closed = 0;

  constructor(steps: (Error | ((offset: bigint) => LogFetch))[]) {
    this.#steps = steps;
  }

  bounds(): Promise<LogBounds> {
    const error = this.boundsError;
    return error === undefined ? Promise.resolve(this.held) : Promise.reject(error);
  }

  async fetch(offset: bigint, identify: (id: string) => void): Promise<LogFetch> {
    this.asked.push(offset);
    identify(this.held.topicId);
    const step = this.#steps.shift() ?? new TidemarkError("aborted", "end of the script");
    if (step instanceof Error) throw step;
    return await step(offset);
  }

  close(): Promise<void> {
    this.closed++;
    return this.closeError === undefined ? Promise.resolve() : Promise.reject(this.closeError);
  }
}

async function read(port: Port, offset = 0n, topicId?: string) {
  const states: LogState[] = [];
  const delays: number[] = [];
  const pages: LogFetch[] = [];
  let error: unknown;
  const tail = new TopicTail(port, topicId, {
    onState: (state) => states.push(state),
    random: () => 0.5,
    sleep: (ms) => {
      delays.push(ms);
      return Promise.resolve();
    },
  }, never);
  try {
    for await (const fetch of tail.pages(offset)) pages.push(fetch);
  } catch (thrown) {
    error = thrown;
  }
  return { states, delays, pages, error: error as TidemarkError };
}

const two = (offset: bigint) => page(offset, 2);

Deno.test("TopicTail asks for what follows, one response ahead of its reader", async () => {
  const port = new Port([two, two, two, two]);
  const pages = new TopicTail(port, undefined, {}, never).pages(0n);
  await pages.next();
  await Promise.resolve();
  assert.deepEqual(port.asked, [0n, 2n]);
  await pages.next();
  assert.deepEqual(port.asked, [0n, 2n, 4n]);
  await pages.return(undefined);
  assert.equal(port.closed, 1);
});

Deno.test("TopicTail repeats a failed fetch at the same offset and says once that it is down and up", async () => {
  const refused = new Error("connect ECONNREFUSED");
  const { delays, states, pages } = await read(new Port([two, refused, refused, refused, refused, two]));
  assert.deepEqual(pages.flatMap((each) => each.records.map((record) => record.offset)), [0n, 1n, 2n, 3n]);
  assert.deepEqual(states.map(({ state, reason }) => [state, reason]), [["down", "connect ECONNREFUSED"], ["up", ""]]);
  assert.deepEqual(delays.map(Math.round), [300, 480, 768, 1229]);
});

Deno.test("TopicTail says why it is down now, where that is something else than before", async () => {
  const [refused, busy] = [new Error("connect ECONNREFUSED"), new Error("busy")];
  const { states } = await read(new Port([two, refused, refused, busy, busy, two, refused, refused, two]));
  assert.deepEqual(states.map(({ state, reason }) => [state, reason]), [
    ["down", "connect ECONNREFUSED"],
    ["down", "busy"],
    ["up", ""],
    ["down", "connect ECONNREFUSED"],
    ["up", ""],
  ]);
});

Deno.test("TopicTail keeps quiet about a single failure", async () => {
  const { states } = await read(new Port([two, protocolError("INVALID_FETCH_SESSION_EPOCH"), two]));
  assert.deepEqual(states, []);
});

Deno.test("TopicTail compares an offset out of range with the bounds, and goes on where it lies inside", async () => {
  const port = new Port([two, protocolError("OFFSET_OUT_OF_RANGE"), two]);
  assert.equal((await read(port)).error.code, "aborted");
  assert.deepEqual(port.asked, [0n, 2n, 2n, 4n]);

  const passed = new Port([(offset) => {
    passed.held = { earliest: 50n, latest: 100n, topicId: "a" };
    return page(offset, 2);
  }, protocolError("OFFSET_OUT_OF_RANGE")]);
  const { error } = await read(passed);
  assert.equal(error.code, "position_lost");
  assert.match(error.message, /holds 50 to 100, but 2 is wanted/);
});

Deno.test("TopicTail takes a topic of another id for a lost position", async () => {
  const port = new Port([two, (offset) => {
    port.held = { ...port.held, topicId: "b" };
    return page(offset, 2);
  }]);
  const { error } = await read(port);
  assert.equal(error.code, "position_lost");
  assert.match(error.message, /its id was a and is b/);
  assert.equal((await read(new Port([two]), 0n, "x")).error.code, "position_lost");
});

Deno.test("TopicTail gives a known topic time to come back, and then its position is lost", async () => {
  const unknown = new Error("Unknown topic t.");
  const back = await read(new Port([two, unknown, unknown, two]));
  assert.equal(back.pages.length, 2);
  const gone = await read(new Port([two, ...Array.from({ length: 20 }, () => unknown)]));
  assert.equal(gone.error.code, "position_lost");
  const never = new Port([]);
  never.boundsError = unknown;
  assert.equal((await read(never)).error.code, "not_found");
});

Deno.test("TopicTail gives up at once where the login is refused, but has patience behind a success", async () => {
  const refused = Object.assign(new Error("Cannot connect to any broker."), {
    errors: [Object.assign(new Error("Connection failed."), {
      cause: Object.assign(new Error("SASL authentication failed."), { code: "PLT_KFK_AUTHENTICATION" }),
    })],
  });
  const first = new Port([]);
  first.boundsError = refused;
  const { error, delays } = await read(first);
  assert.equal(error.code, "authentication");
  assert.deepEqual(delays, []);
  assert.equal((await read(new Port([two, refused, refused, two]))).pages.length, 2);
  assert.equal((await read(new Port([two, ...Array.from({ length: 9 }, () => refused)]))).error.code, "authentication");
});

Deno.test("TopicTail calls bytes damaged that stay undecodable", async () => {
  const broken = Object.assign(new Error("Out of bounds."), { code: "OUT_OF_BOUNDS" });
  const { error } = await read(new Port([two, ...Array.from({ length: 9 }, () => broken)]));
  assert.equal(error.code, "damaged");
});

Deno.test("TopicTail waits for a broker that is away from the start", async () => {
  const port = new Port([two]);
  port.boundsError = new Error("connect ECONNREFUSED");
  let attempts = 0;
  const tail = new TopicTail(port, undefined, {
    sleep: () => {
      if (++attempts === 30) port.boundsError = undefined;
      return Promise.resolve();
    },
  }, never);
  const { value } = await tail.pages(0n).next();
  assert.equal(value?.records.length, 2);
  await tail.close();
});

Deno.test("TopicTail says that its position is lost, also where its connection cannot be closed", async () => {
  const port = new Port([two, new TidemarkError("position_lost", "The log was removed")]);
  port.closeError = new Error("the connection is gone");
  const { error } = await read(port);
  assert.equal(error.code, "position_lost");
  assert.equal(port.closed, 1);
});
