import assert from "node:assert/strict";
import { pulsarPosition } from "../../../../pipeline/positions/mod.ts";
import { ledgersMeasure, ledgersOf } from "../../../../sources/log/pulsar/measure.ts";

Deno.test("ledgersOf takes the open ledger's size from beside the list, where it stands with nothing in it", () => {
  const ledgers = [{ ledgerId: 7, entries: 100, size: 5000 }, { ledgerId: 12, entries: 0, size: 0 }];
  const text = JSON.stringify({ currentLedgerEntries: 40, currentLedgerSize: 800, ledgers, cursors: {} });
  assert.deepEqual(ledgersOf(text), [
    { number: 7n, first: 0n, entries: 100n, bytes: 5000n },
    { number: 12n, first: 0n, entries: 40n, bytes: 800n },
  ]);
  const at = (ledger: bigint, entry: bigint, batch = 0) => pulsarPosition({ ledger, entry, batch });
  const { bytes } = ledgersMeasure(ledgersOf(text))!;
  assert.equal(bytes(at(7n, 50n), at(12n, 39n, 1)), 2500n + 800n);
  assert.equal(bytes(at(12n, 39n, 1), at(12n, 39n, 1)), 0n);
  assert.equal(ledgersMeasure(ledgersOf(JSON.stringify({ ledgers: [] }))), undefined);
});
