import assert from "node:assert/strict";
import fc from "fast-check";
import { after, before, type Position, type PositionForms, type Queue } from "../../../pipeline/model/mod.ts";
import {
  isQueue,
  positionsOf,
  pulsarPlace,
  pulsarPosition,
  restorePosition,
  storePosition,
  woodpeckerPlace,
  woodpeckerPosition,
} from "../../../pipeline/positions/mod.ts";

const id = fc.bigInt({ min: 0n, max: (1n << 63n) - 2n });
const PLACES: Readonly<Record<Exclude<Queue, "files">, fc.Arbitrary<Position>>> = {
  kafka: id,
  rocksmq: id,
  pulsar: fc.record({ ledger: id, entry: id, batch: fc.integer({ min: 0, max: 999_999_998 }) }).map(pulsarPosition),
  woodpecker: fc.tuple(id, id).map(([segment, entry]) => woodpeckerPosition(segment, entry)),
};
const QUEUES = Object.keys(PLACES) as (keyof typeof PLACES)[];

function each(test: (forms: PositionForms, places: fc.Arbitrary<Position>) => void): void {
  for (const queue of QUEUES) test(positionsOf(queue), PLACES[queue]);
}

Deno.test("PositionForms: text, and the bytes that Milvus writes, lead back to the same place", () => {
  each((forms, places) =>
    fc.assert(fc.property(places, (place) => {
      assert.equal(forms.parse(forms.format(place)), place);
      assert.equal(forms.fromMilvus(forms.toMilvus(place)), place);
    }))
  );
});

Deno.test("PositionForms: what is no place of the queue is undefined, never another place", () => {
  each((forms) => {
    for (const text of ["", " 1", "x", "1/2/3", "1:2", "1.5", "-", "99999999999999999999/1"]) {
      assert.equal(forms.parse(text), undefined, `${forms.queue}: ${text}`);
    }
    fc.assert(fc.property(fc.uint8Array({ maxLength: 20 }), (bytes) => {
      const found = forms.fromMilvus(bytes);
      assert.ok(found === undefined || typeof found === "bigint");
    }));
  });
});

Deno.test("positions of Pulsar and Woodpecker are in the order of their parts, and `after` lies before the next record", () => {
  const order = (a: bigint, b: bigint) => a < b ? -1 : a > b ? 1 : 0;
  fc.assert(fc.property(id, id, id, id, (segment, entry, otherSegment, otherEntry) => {
    const [a, b] = [woodpeckerPosition(segment, entry), woodpeckerPosition(otherSegment, otherEntry)];
    assert.equal(order(a, b), order(segment, otherSegment) || order(entry, otherEntry));
    assert.ok(after(a) > a);
    if (b > a) assert.ok(after(a) <= b);
    assert.deepEqual(woodpeckerPlace(a), { segment, entry });
  }));
  fc.assert(fc.property(PLACES.pulsar, PLACES.pulsar, (a, b) => {
    const [x, y] = [pulsarPlace(a), pulsarPlace(b)];
    assert.equal(order(a, b), order(x.ledger, y.ledger) || order(x.entry, y.entry) || Math.sign(x.batch - y.batch));
    if (b > a) assert.ok(after(a) <= b);
  }));
});

Deno.test("positionsOf reads what real servers wrote", () => {
  const hex = (text: string) => Uint8Array.fromHex(text);
  assert.equal(positionsOf("kafka").fromMilvus(hex("ba25000000000000")), 9658n);
  const pulsar = positionsOf("pulsar");
  // Of the Go client, without and in a batch; of the C++ client, which leaves out what is 0.
  assert.equal(pulsar.format(pulsar.fromMilvus(hex("08031000180020003001"))!), "3:0:0");
  assert.equal(pulsar.format(pulsar.fromMilvus(hex("08021000180020013071"))!), "2:0:1");
  assert.equal(pulsar.format(pulsar.fromMilvus(hex("08031000"))!), "3:0:0");
  const woodpecker = positionsOf("woodpecker");
  assert.equal(woodpecker.format(woodpecker.fromMilvus(hex(""))!), "0/0");
  assert.equal(woodpecker.format(woodpecker.fromMilvus(hex("1002"))!), "0/2");
  assert.equal(woodpecker.format(woodpecker.fromMilvus(hex("08011004"))!), "1/4");
  // Bytes of one queue are none of the others.
  assert.equal(woodpecker.fromMilvus(hex("ba25000000000000")), undefined);
  assert.equal(woodpecker.parse(woodpecker.format(before(woodpecker.parse("0/0")!))), -1n);
  assert.equal(pulsar.parse(pulsar.format(before(pulsar.parse("0:0:0")!))), -1n);
  assert.equal(positionsOf("kafka").fromMilvus(hex("08011004")), undefined);
  assert.equal(pulsar.fromMilvus(hex("ba25000000000000")), undefined);
});

Deno.test("storePosition keeps Kafka's integers as documents always had them, and writes text for others", () => {
  assert.equal(storePosition(41n, "kafka"), 41n);
  assert.equal(storePosition(woodpeckerPosition(3n, 17n), "woodpecker"), "3/17");
  assert.equal(restorePosition(41n, "kafka", "state"), 41n);
  assert.equal(restorePosition("3/17", "woodpecker", "state"), woodpeckerPosition(3n, 17n));
  assert.throws(
    () => restorePosition("3:17:0", "woodpecker", "The state s"),
    /The state s: "3:17:0" is no position of woodpecker/,
  );
});

Deno.test("isQueue knows the queues and nothing else", () => {
  for (const queue of QUEUES) assert.ok(isQueue(queue));
  assert.ok(!isQueue("toString"));
});

Deno.test("PositionForms.back goes back so many records where the queue counts them, and says where it does not", () => {
  const [pulsar, woodpecker] = [positionsOf("pulsar"), positionsOf("woodpecker")];
  assert.equal(positionsOf("kafka").back(1500n, 1000n), 500n);
  const pulsarBack = (entry: bigint) => pulsar.back(pulsarPosition({ ledger: 7n, entry, batch: 3 }), 1000n);
  assert.equal(pulsarBack(1500n), pulsarPosition({ ledger: 7n, entry: 500n, batch: 0 }));
  assert.equal(pulsarBack(999n), undefined);
  assert.equal(woodpecker.back(woodpeckerPosition(3n, 1000n), 1000n), woodpeckerPosition(3n, 0n));
  assert.equal(woodpecker.back(woodpeckerPosition(3n, 17n), 1000n), undefined);
});
