import assert from "node:assert/strict";
import fc from "fast-check";
import { create } from "@bufbuild/protobuf";
import { pulsarPosition, woodpeckerPosition } from "../../../../pipeline/positions/mod.ts";
import { MessageIDSchema, WALName } from "../../../../pipeline/proto/gen/common_pb.ts";
import { dumpIds, placeOf } from "../../../../sources/log/dump/ids.ts";

const [kafka, woodpecker, pulsar] = [dumpIds("kafka"), dumpIds("woodpecker"), dumpIds("pulsar")];

Deno.test("dumpIds reads what servers give: base 36 of Kafka, base64 of the others", () => {
  assert.equal(kafka.read("zz"), 35n * 36n + 35n);
  assert.equal(kafka.read("-1"), -1n);
  assert.equal(woodpecker.read("CAEQAg=="), woodpeckerPosition(1n, 2n));
  assert.equal(woodpecker.read(""), woodpeckerPosition(0n, 0n));
  assert.equal(pulsar.read("CAcQCRgAIAA="), pulsarPosition({ ledger: 7n, entry: 9n, batch: 0 }));
  for (const [ids, text] of [[kafka, "AB"], [kafka, ""], [woodpecker, "*"], [pulsar, ""]] as const) {
    assert.throws(() => ids.read(text), RangeError);
  }
});

Deno.test("dumpIds never names an empty start", () => {
  for (const ids of [kafka, woodpecker, pulsar]) {
    for (const start of [ids.first, ids.before(0n)]) assert.notEqual(start.id, "");
  }
  assert.equal(woodpecker.first.id, "CAAQAA==");
  assert.equal(kafka.first.id, "0");
});

Deno.test("dumpIds.before names a start before the place, the one right before it where that is known", () => {
  fc.assert(fc.property(fc.bigInt(1n, 1n << 30n), fc.bigInt(0n, 1n << 30n), (segment, entry) => {
    const offset = (segment << 30n) + entry;
    assert.equal(kafka.read(kafka.before(offset).id), offset - 1n);
    const place = woodpeckerPosition(segment, entry);
    const start = woodpecker.read(woodpecker.before(place).id);
    assert.equal(start, entry > 0n ? place - 1n : woodpeckerPosition(segment - 1n, 0n));
    if (entry > 0n) {
      const before = pulsar.read(pulsar.before(pulsarPosition({ ledger: segment, entry, batch: 0 })).id);
      assert.equal(before, pulsarPosition({ ledger: segment, entry: entry - 1n, batch: 0 }));
    }
  }));
});

Deno.test("placeOf throws for a message without an id and for one of another queue", () => {
  const id = (WALName: WALName) => create(MessageIDSchema, { id: "5", WALName });
  assert.equal(placeOf(kafka, id(WALName.Kafka)), 5n);
  assert.throws(() => placeOf(kafka, undefined), /no id/);
  assert.throws(() => placeOf(kafka, id(WALName.WoodPecker)), /WoodPecker, expected Kafka/);
});
