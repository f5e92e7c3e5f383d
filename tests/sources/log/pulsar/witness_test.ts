import assert from "node:assert/strict";
import fc from "fast-check";
import { formatWitness, parseWitness } from "../../../../sources/log/pulsar/witness.ts";

Deno.test("parseWitness reads what formatWitness wrote, whatever the producer is called", () => {
  fc.assert(fc.property(
    fc.bigInt({ min: 0n, max: (1n << 63n) - 1n }),
    fc.bigInt({ min: 0n, max: (1n << 63n) - 1n }),
    fc.string({ minLength: 1, unit: "grapheme" }),
    (ledger, entry, producer) => {
      const witness = { ledger, entry, seal: `1764441600000 ${producer} 7` };
      assert.deepEqual(parseWitness(formatWitness(witness)), witness);
    },
  ));
});

Deno.test("parseWitness knows texts of other queues for what they are", () => {
  for (const text of ["", "9u2Jb0cHQ5mV1k", "instance/12", "3:4", "-1:0 1 a 1", "3:4:5 1 a 1"]) {
    assert.equal(parseWitness(text), undefined, text);
  }
});
