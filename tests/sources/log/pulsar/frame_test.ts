import assert from "node:assert/strict";
import fc from "fast-check";
import { create, toBinary } from "@bufbuild/protobuf";
import { BaseCommand_Type as Type, MessageMetadataSchema } from "../../../../pipeline/proto/gen/pulsar_api_pb.ts";
import { encodeFrame, FrameSplitter, parseFrame, parseMessage } from "../../../../sources/log/pulsar/frame.ts";
import { messageOf } from "./messages.ts";

Deno.test("FrameSplitter finds the same frames however the bytes arrive", () => {
  const frame = fc.uint8Array({ maxLength: 300 }).map((rest) => encodeFrame({ type: Type.PING, ping: {} }, rest));
  fc.assert(
    fc.property(fc.array(frame, { maxLength: 12 }), fc.array(fc.nat(700), { maxLength: 30 }), (frames, cuts) => {
      const whole = new Uint8Array(frames.flatMap((one) => [...one]));
      const splitter = new FrameSplitter();
      const found: Uint8Array[] = [];
      let at = 0;
      for (const length of [...cuts, whole.length]) {
        for (const bytes of splitter.split(whole.subarray(at, at + length))) found.push(bytes.slice());
        at = Math.min(whole.length, at + length);
      }
      assert.deepEqual(found, frames.map((one) => one.slice(4)));
    }),
  );
});

Deno.test("FrameSplitter refuses a frame that is longer than a message may be, before it takes memory for it", () => {
  const splitter = new FrameSplitter();
  assert.throws(() => [...splitter.split(Uint8Array.of(0x7f, 0xff, 0xff, 0xff))], RangeError);
  splitter.limit = 10;
  assert.throws(() => [...splitter.split(Uint8Array.of(0, 0, 0, 11))], /expected 4 to 10/);
});

Deno.test("parseFrame reads what encodeFrame wrote, and what follows the command", () => {
  const bytes = encodeFrame({ type: Type.FLOW, flow: { consumerId: 7n, messagePermits: 9 } }, Uint8Array.of(1, 2, 3));
  const frame = parseFrame(bytes.subarray(4));
  assert.ok(frame.kind === "command");
  const { command, rest } = frame;
  assert.deepEqual([command.type, command.flow?.consumerId, command.flow?.messagePermits], [Type.FLOW, 7n, 9]);
  assert.deepEqual(rest, Uint8Array.of(1, 2, 3));
});

Deno.test("parseMessage refuses a message of which any bit is another than its producer wrote", () => {
  const rest = messageOf({ sequenceId: 5n }, new TextEncoder().encode("as it was written"));
  assert.equal(parseMessage(rest).head.sequenceId, 5n);
  fc.assert(fc.property(fc.integer({ min: 2, max: rest.length - 1 }), fc.nat(7), (at, bit) => {
    const rotten = rest.slice();
    rotten[at]! ^= 1 << bit;
    assert.throws(() => parseMessage(rotten), /The checksum is [0-9a-f]{8}, its producer gave it [0-9a-f]{8}/);
  }));
});

Deno.test("parseMessage passes what a broker put before the message", () => {
  const broker = Uint8Array.of(0x0e, 0x02, 0, 0, 0, 2, 0x08, 0x01);
  const rest = messageOf({ sequenceId: 6n }, Uint8Array.of(9));
  const { head, payload } = parseMessage(Uint8Array.from([...broker, ...rest]));
  assert.deepEqual([head.sequenceId, [...payload]], [6n, [9]]);
});

Deno.test("parseMessage reads a message without a checksum, as very old clients write it", () => {
  const metadata = toBinary(
    MessageMetadataSchema,
    create(MessageMetadataSchema, { producerName: "p", sequenceId: 1n, publishTime: 2n }),
  );
  const rest = Uint8Array.from([0, 0, 0, metadata.length, ...metadata, 4]);
  assert.deepEqual([...parseMessage(rest).payload], [4]);
});

Deno.test("parseFrame reads of a message's command what the classes read, whatever else stands in it", () => {
  const id = fc.bigInt({ min: 0n, max: 2n ** 64n - 1n });
  fc.assert(
    fc.property(
      fc.tuple(id, id, id),
      fc.option(fc.integer({ min: -1, max: 9 }), { nil: undefined }),
      fc.array(id.map((n) => BigInt.asIntN(64, n)), { maxLength: 3 }),
      ([consumerId, ledgerId, entryId], batchIndex, ackSet) => {
        const bytes = encodeFrame({
          type: Type.MESSAGE,
          message: {
            consumerId,
            messageId: {
              ledgerId,
              entryId,
              ackSet,
              ...(batchIndex === undefined ? {} : { batchIndex, partition: batchIndex }),
            },
            ackSet,
            redeliveryCount: ackSet.length,
          },
        }, Uint8Array.of(7));
        const frame = parseFrame(bytes.subarray(4));
        assert.ok(frame.kind === "message");
        assert.deepEqual(frame.message, { consumerId, ledger: ledgerId, entry: entryId });
        assert.deepEqual([...frame.rest], [7]);
        // Cut short behind its type, it is none.
        const whole = bytes.subarray(8, -1);
        for (let cut = 2; cut < whole.length; cut++) {
          assert.throws(() => parseFrame(Uint8Array.of(0, 0, 0, cut, ...whole.subarray(0, cut))), RangeError);
        }
      },
    ),
    { numRuns: 50 },
  );
});

Deno.test("parseMessage reads of a message's metadata what the classes read", () => {
  const number = fc.bigInt({ min: 0n, max: 2n ** 64n - 1n });
  const text = fc.string({ unit: "grapheme", maxLength: 9 });
  fc.assert(
    fc.property(
      number,
      number,
      text,
      fc.array(fc.record({ key: text, value: text }), { maxLength: 3 }),
      fc.boolean(),
      (sequenceId, publishTime, producerName, properties, other) => {
        const metadata = create(MessageMetadataSchema, {
          sequenceId,
          publishTime,
          producerName,
          properties,
          partitionKey: "unused",
          replicateTo: ["a", "b"],
          eventTime: 5n,
          orderingKey: Uint8Array.of(1),
          ...(other
            ? { deliverAtTime: -1n, compression: 3, uncompressedSize: 2 ** 32 - 1, nullValue: true, markerType: -1 }
            : {}),
          ...(other
            ? {
              numMessagesInBatch: 0,
              numChunksFromMsg: 4,
              txnidLeastBits: 0n,
              encryptionKeys: [{ key: "k", value: Uint8Array.of(1) }],
            }
            : {}),
        });
        const { head } = parseMessage(messageOf(metadata, Uint8Array.of(9)));
        assert.deepEqual(head, {
          sequenceId,
          publishTime,
          producerName,
          properties: properties.map(({ key, value }) => [key, new TextEncoder().encode(value)]),
          compression: other ? 3 : 0,
          uncompressedSize: other ? 2 ** 32 - 1 : 0,
          batch: other ? 0 : undefined,
          nullValue: other,
          markerType: other ? -1 : 0,
          isEncrypted: other,
          chunks: other ? 4 : 0,
          isOfTransaction: other,
        });
      },
    ),
  );
});
