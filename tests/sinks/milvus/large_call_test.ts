/** Large requests, as a channel sends them. */
import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import type { TidemarkError } from "../../../pipeline/errors.ts";
import { type Channel, openChannel } from "../../../sinks/milvus/channel.ts";
import { isTooLargeFault } from "../../../sinks/milvus/fault.ts";
import { type Answer, freePort, TAKE, type Taken, UnaryServer } from "../../fakes/unary_server.ts";

const NEVER = new AbortController().signal;
const OK = new Uint8Array([8, 1]);
const KIB = 1024;

/** Of 300 KiB, in parts of which one is empty. */
function largeParts(): Uint8Array[] {
  const bytes = Uint8Array.from({ length: 300 * KIB }, (_, i) => i * 31 + (i >> 8));
  return [bytes.subarray(0, 7), bytes.subarray(7, 7), bytes.subarray(7, 200 * KIB), bytes.subarray(200 * KIB)];
}

function ask(channel: Channel, body: readonly Uint8Array[], { timeoutMs = 20_000, signal = NEVER } = {}) {
  return channel.unary(TAKE, body, { db: "sales", timeoutMs, signal });
}

async function faultOf(call: Promise<unknown>): Promise<TidemarkError> {
  return await call.then(() => assert.fail("It was answered"), (error) => error);
}

async function withChannel(
  address: string,
  work: (channel: Channel) => Promise<void>,
  options: { maxMessageBytes?: number } = {},
): Promise<void> {
  const channel = openChannel({
    address,
    tls: undefined,
    token: "root:Milvus",
    maxMessageBytes: 64 * KIB * KIB,
    ...options,
  });
  try {
    await work(channel);
  } finally {
    await channel.close();
  }
}

async function withServer(
  answer: (taken: Taken) => Answer | Promise<Answer>,
  work: (channel: Channel) => Promise<void>,
): Promise<void> {
  await using server = await UnaryServer.start(answer);
  await withChannel(server.address, work);
}

Deno.test("Channel.unary sends a large message in parts as one, with login and database, by the runtime's own client", async () => {
  const seen: Taken[] = [];
  await withServer((taken) => {
    seen.push(taken);
    return OK;
  }, async (channel) => {
    assert.deepEqual([...await ask(channel, largeParts())], [...OK]);
    assert.deepEqual([...await ask(channel, [new Uint8Array(3)])], [...OK]);
  });
  const [large, small] = seen;
  assert.equal(Buffer.compare(large!.body, Buffer.concat(largeParts())), 0);
  for (const { headers } of seen) {
    assert.equal(headers.authorization, btoa("root:Milvus"));
    assert.equal(headers.dbname, "sales");
  }
  assert.match(String(large!.headers["user-agent"]), /^Deno/);
  assert.match(String(small!.headers["user-agent"]), /^grpc-node-js/);
});

Deno.test("Channel.unary tells the status that a large message is answered with, in the server's words", async () => {
  const answers: Answer[] = [
    { code: 16, details: "auth check failure, please check api key is correct" },
    { code: 8, details: "Größe überschritten" },
    { code: 14, details: "service unavailable" },
  ];
  await withServer(() => answers.shift()!, async (channel) => {
    assert.equal((await faultOf(ask(channel, largeParts()))).code, "authentication");
    const throttled = await faultOf(ask(channel, largeParts()));
    assert.equal(throttled.code, "throttled");
    assert.match(throttled.message, /Größe überschritten/);
    assert.equal((await faultOf(ask(channel, largeParts()))).code, "unreachable");
  });
});

Deno.test("Channel.unary says that a message is too large, whether the server refuses it or the limit of the sink", async () => {
  await withServer(() => OK, async (channel) => {
    // The server takes 4 MiB.
    const fault = await faultOf(ask(channel, [new Uint8Array(5 * KIB * KIB)]));
    assert.ok(isTooLargeFault(fault), String(fault));
    assert.deepEqual([...await ask(channel, largeParts())], [...OK]);
  });
  await using server = await UnaryServer.start(() => OK);
  await withChannel(server.address, async (channel) => {
    assert.ok(isTooLargeFault(await faultOf(ask(channel, largeParts()))));
  }, { maxMessageBytes: 200 * KIB });
});

Deno.test("Channel.unary reaches a server that was not there, and one that was started again, with large messages", async () => {
  const port = freePort();
  await withChannel(`127.0.0.1:${port}`, async (channel) => {
    const absent = await faultOf(ask(channel, largeParts()));
    assert.equal(absent.code, "unreachable");
    assert.match(absent.message, /cannot be reached: .*refused/i);
    for (let time = 0; time < 2; time++) {
      await using _server = await UnaryServer.start(() => OK, port);
      // That the connection to the one before is gone may be told to one call more.
      const answer = await ask(channel, largeParts()).catch((error) => {
        assert.equal(error.code, "unreachable");
        return ask(channel, largeParts());
      });
      assert.deepEqual([...answer], [...OK]);
    }
    assert.equal((await faultOf(ask(channel, largeParts()))).code, "unreachable");
  });
});

Deno.test("Channel.unary gives up a large message at its deadline and at a stop, and others on the connection go on", async () => {
  const held = Promise.withResolvers<Answer>();
  const slow = Promise.withResolvers<Answer>();
  const longer = [...largeParts(), OK];
  const answer = ({ body }: Taken) => body.length === 300 * KIB ? held.promise : slow.promise;
  await withServer(answer, async (channel) => {
    const beside = ask(channel, longer);
    const late = await faultOf(ask(channel, largeParts(), { timeoutMs: 300 }));
    assert.equal(late.code, "unreachable");
    assert.match(late.message, /did not answer within 300 ms/);
    const stop = new AbortController();
    const stopped = faultOf(ask(channel, largeParts(), { signal: stop.signal }));
    stop.abort();
    assert.equal((await stopped).code, "aborted");
    assert.equal((await faultOf(ask(channel, largeParts(), { signal: stop.signal }))).code, "aborted");
    slow.resolve(OK);
    assert.deepEqual([...await beside], [...OK]);
    held.resolve(OK);
  });
});

Deno.test("Channel.unary takes no answer for one message that is cut off, or that whoever stands before the server gives", async () => {
  const answers = [
    () => new Response(new Uint8Array([0, 0, 0, 0, 9, 8, 1]), { headers: { "content-type": "application/grpc" } }),
    () => new Response("no upstream", { status: 503 }),
    () => new Response("who is it", { status: 401 }),
  ];
  await using server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen() {} }, async (request) => {
    await request.arrayBuffer();
    return answers.shift()!();
  });
  for (const code of ["unreachable", "unreachable", "authentication"]) {
    await withChannel(`127.0.0.1:${server.addr.port}`, async (channel) => {
      assert.equal((await faultOf(ask(channel, largeParts()))).code, code);
    });
  }
});

Deno.test("Channel.unary leaves large messages to grpc-js where a status comes behind the headers", async () => {
  const refusal: Answer = { code: 7, details: "permission deny to Insert", trailing: true };
  await withServer(() => refusal, async (channel) => {
    const first = await faultOf(ask(channel, largeParts()));
    assert.equal(first.code, "unreachable");
    const second = await faultOf(ask(channel, largeParts()));
    assert.equal(second.code, "authentication");
    assert.match(second.message, /permission deny/);
  });
});
