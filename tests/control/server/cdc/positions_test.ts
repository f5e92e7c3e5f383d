import assert from "node:assert/strict";
import { checkPositions, decodePosition, positionsOfStatus } from "../../../../control/server/cdc/positions.ts";
import { parseStatus } from "../../../../control/parse_status.ts";
import { positionsOf } from "../../../../pipeline/positions/mod.ts";

const TICK = 461373440000000000n;

Deno.test("positionsOfStatus writes each channel's place as Milvus does, and create takes it back", () => {
  const status = parseStatus({
    channels: [
      { pchannel: "by-dev-rootcoord-dml_0", position: "7", tick: TICK },
      // Nothing is on the sinks yet.
      { pchannel: "by-dev-rootcoord-dml_1", position: "0", tick: 0n },
    ],
  })!;
  const [position, ...others] = positionsOfStatus(status, "kafka");
  assert.deepEqual(others, []);
  const { msg_id, ...rest } = position!;
  assert.deepEqual(rest, {
    collection_id: -1n,
    channel_name: "by-dev-rootcoord-dml_0",
    time: TICK >> 18n,
    tt: TICK,
  });
  const { channel, id } = decodePosition(msg_id, "");
  assert.equal(channel, "by-dev-rootcoord-dml_0");
  assert.equal(positionsOf("kafka").fromMilvus(id), 7n);
  checkPositions([{
    name: "a",
    positions: { "by-dev-rootcoord-dml_0_449684612096v0": msg_id },
    use_start_position: false,
  }]);
});

Deno.test("positionsOfStatus knows no places where no queue is read, nor before a task has said anything", () => {
  const status = parseStatus({ channels: [{ pchannel: "c", position: "files", tick: 0n }] });
  assert.deepEqual(positionsOfStatus(status, "files"), []);
  assert.deepEqual(positionsOfStatus(undefined, "kafka"), []);
});
