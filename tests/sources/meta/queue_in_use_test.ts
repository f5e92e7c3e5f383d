import assert from "node:assert/strict";
import { kafkaPositions, pulsarPositions, woodpeckerPositions } from "../../../pipeline/positions/mod.ts";
import { WALName } from "../../../pipeline/proto/gen/common_pb.ts";
import { queueInUse } from "../../../sources/meta/mod.ts";

const id = (msgID: Uint8Array, name = WALName.Unknown) => ({ msgID, WALName: name });

Deno.test("queueInUse believes config/mqtype first, then the name beside an id, then the id", () => {
  const kafka = id(kafkaPositions.toMilvus(7n));
  const woodpecker = id(woodpeckerPositions.toMilvus(7n), WALName.WoodPecker);
  assert.equal(queueInUse({ mqType: "woodpecker", checkpoints: [kafka] })?.queue, "woodpecker");
  assert.equal(queueInUse({ mqType: " Kafka\n", checkpoints: [woodpecker] })?.queue, "kafka");
  assert.equal(queueInUse({ mqType: undefined, checkpoints: [kafka, woodpecker] })?.queue, "woodpecker");
  assert.equal(
    queueInUse({ mqType: "", checkpoints: [id(new Uint8Array(), WALName.WoodPecker)] })?.queue,
    "woodpecker",
  );
  assert.equal(queueInUse({ mqType: undefined, checkpoints: [kafka] })?.queue, "kafka");
  assert.match(queueInUse({ mqType: "kafka", checkpoints: [] })!.because, /mqtype/);
});

Deno.test("queueInUse tells RocksMQ from Kafka by the size of its ids, and Pulsar by their form", () => {
  const of = (msgID: Uint8Array) =>
    queueInUse({ mqType: undefined, checkpoints: [id(new Uint8Array()), id(msgID)] })?.queue;
  // 2023 to 2040, as unix ms << 18.
  for (const ms of [1_672_531_200_000n, 2_208_988_800_000n]) {
    assert.equal(of(kafkaPositions.toMilvus(ms << 18n)), "rocksmq");
  }
  for (const offset of [0n, 1n, 1n << 40n]) assert.equal(of(kafkaPositions.toMilvus(offset)), "kafka");
  for (const position of [0n, 5n << 96n, (9_999n << 96n) + (77n << 32n) + 3n]) {
    assert.equal(of(pulsarPositions.toMilvus(position)), "pulsar");
  }
  assert.equal(of(new Uint8Array([1, 2, 3])), undefined);
  assert.equal(queueInUse({ mqType: undefined, checkpoints: [] }), undefined);
});
