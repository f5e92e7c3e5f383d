import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { createServer, type Socket } from "node:net";
import { BaseCommand_Type as Type, ServerError } from "../../../pipeline/proto/gen/pulsar_api_pb.ts";
import type { Command } from "../../../sources/log/pulsar/connection.ts";
import { encodeFrame, FrameSplitter, parseFrame } from "../../../sources/log/pulsar/frame.ts";
import { PulsarProducer } from "./producer.ts";

/** A broker that stores what `stores` says yes to, and lets go of the topic otherwise. */
async function withBroker(
  stores: (sequence: bigint, opened: number) => boolean,
  opens: (opened: number) => ServerError | undefined,
  work: (address: string, stored: bigint[]) => Promise<void>,
): Promise<void> {
  const stored: bigint[] = [];
  let opened = 0;
  const server = createServer((socket: Socket) => {
    const splitter = new FrameSplitter();
    let isOpen = false;
    const say = (command: Command) => socket.write(encodeFrame(command));
    const answer = (command: Command) => {
      switch (command.type) {
        case Type.CONNECT:
          return say({ type: Type.CONNECTED, connected: { serverVersion: "test" } });
        case Type.LOOKUP:
          return say({
            type: Type.LOOKUP_RESPONSE,
            lookupTopicResponse: { requestId: command.lookupTopic!.requestId! },
          });
        case Type.PRODUCER: {
          const requestId = command.producer!.requestId!;
          const error = opens(++opened);
          if (error !== undefined) return say({ type: Type.ERROR, error: { requestId, error, message: "not now" } });
          isOpen = true;
          return say({ type: Type.PRODUCER_SUCCESS, producerSuccess: { requestId, producerName: "p" } });
        }
        case Type.SEND: {
          const sequenceId = command.send!.sequenceId!;
          if (!isOpen) return;
          if (stores(sequenceId, opened)) {
            stored.push(sequenceId);
            return say({
              type: Type.SEND_RECEIPT,
              sendReceipt: { producerId: 1n, sequenceId, messageId: { ledgerId: 1n, entryId: BigInt(stored.length) } },
            });
          }
          isOpen = false;
          // In this order, where its ledger takes nothing any more.
          say({ type: Type.CLOSE_PRODUCER, closeProducer: { producerId: 1n, requestId: 0n } });
          const message = "no bookies";
          return say({
            type: Type.SEND_ERROR,
            sendError: { producerId: 1n, sequenceId, error: ServerError.PersistenceError, message },
          });
        }
      }
    };
    socket.on("error", () => {});
    socket.on("data", (chunk: Buffer) => {
      for (const bytes of splitter.split(chunk)) {
        const frame = parseFrame(bytes);
        if (frame.kind !== "message") answer(frame.command as Command);
      }
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as { port: number };
  try {
    await work(`127.0.0.1:${port}`, stored);
  } finally {
    await new Promise((resolve) => server.close(resolve));
  }
}

const messages = (count: number) => Array.from({ length: count }, (_, i) => ({ value: Uint8Array.of(i) }));

Deno.test("PulsarProducer sends what a broker did not store once it takes writers again, in order and nothing twice", async () => {
  const refusals = (opened: number) => opened === 2 ? ServerError.ServiceNotReady : undefined;
  await withBroker((sequence, opened) => opened > 2 || sequence < 3n, refusals, async (address, stored) => {
    await using producer = await PulsarProducer.open(address, "persistent://public/default/t");
    const places = await producer.send(messages(9), { window: 4 });
    assert.deepEqual(stored, [0n, 1n, 2n, 3n, 4n, 5n, 6n, 7n, 8n]);
    assert.deepEqual(places.map(({ entry }) => entry), [1n, 2n, 3n, 4n, 5n, 6n, 7n, 8n, 9n]);
  });
});

Deno.test("PulsarProducer gives up where the topic's backlog is full", async () => {
  const full = (opened: number) => opened === 2 ? ServerError.ProducerBlockedQuotaExceededException : undefined;
  await withBroker((sequence) => sequence < 1n, full, async (address) => {
    await using producer = await PulsarProducer.open(address, "persistent://public/default/t");
    await assert.rejects(producer.send(messages(3)), /not now/);
  });
});
