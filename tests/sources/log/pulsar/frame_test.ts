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
  const { command, rest } = parseFrame(bytes.subarray(4));
  assert.deepEqual([command.type, command.flow?.consumerId, command.flow?.messagePermits], [Type.FLOW, 7n, 9]);
  assert.deepEqual(rest, Uint8Array.of(1, 2, 3));
});

Deno.test("parseMessage refuses a message of which any bit is another than its producer wrote", () => {
  const rest = messageOf({ sequenceId: 5n }, new TextEncoder().encode("as it was written"));
  assert.equal(parseMessage(rest).metadata.sequenceId, 5n);
  fc.assert(fc.property(fc.integer({ min: 2, max: rest.length - 1 }), fc.nat(7), (at, bit) => {
    const rotten = rest.slice();
    rotten[at]! ^= 1 << bit;
    assert.throws(() => parseMessage(rotten), /The checksum is [0-9a-f]{8}, its producer gave it [0-9a-f]{8}/);
  }));
});

Deno.test("parseMessage passes what a broker put before the message", () => {
  const broker = Uint8Array.of(0x0e, 0x02, 0, 0, 0, 2, 0x08, 0x01);
  const rest = messageOf({ sequenceId: 6n }, Uint8Array.of(9));
  const { metadata, payload } = parseMessage(Uint8Array.from([...broker, ...rest]));
  assert.deepEqual([metadata.sequenceId, [...payload]], [6n, [9]]);
});

Deno.test("parseMessage reads a message without a checksum, as very old clients write it", () => {
  const metadata = toBinary(
    MessageMetadataSchema,
    create(MessageMetadataSchema, { producerName: "p", sequenceId: 1n, publishTime: 2n }),
  );
  const rest = Uint8Array.from([0, 0, 0, metadata.length, ...metadata, 4]);
  assert.deepEqual([...parseMessage(rest).payload], [4]);
});
