import assert from "node:assert/strict";
import { keyText, type RefusedRow, RefusedRows } from "../../../../pipeline/flow/state/refused_rows.ts";
import {
  newCollectionState,
  newRunState,
  newSinkState,
  parseRunState,
} from "../../../../pipeline/flow/state/run_state.ts";
import { formatRunState } from "../../../../pipeline/flow/state/run_state_text.ts";

function row(key: bigint | string, more: Partial<RefusedRow> = {}): RefusedRow {
  const base = { partitionId: 1n, partition: "_default", ts: 1n, position: "p@1", reason: "too long", file: "" };
  return { ...base, key, columns: ["AQI="], ...more };
}

Deno.test("parseRunState reads refused rows as formatRunState wrote them, int64 and varchar keys exact", () => {
  const state = newRunState("p", "1", new Date(0));
  const sink = newSinkState();
  const own = newCollectionState(1n, { db: "a", name: "b" }, { db: "a", name: "b" }, [], "tail");
  const rows = [row(9223372036854775807n), row("9223372036854775807"), row(1n, { file: "00001.parquet", columns: [] })];
  for (const one of rows) own.refusedRows.set(one);
  sink.collections.set(1n, own);
  state.sinks.set("replica", sink);
  const read = parseRunState(formatRunState(state), "here").sinks.get("replica")!.collections.get(1n)!;
  assert.deepEqual([...read.refusedRows], rows);
  assert.equal(read.refusedRows.bytes, own.refusedRows.bytes);
});

Deno.test("supersede forgets the row of a key in its partition, of all partitions where none is said", () => {
  const rows = new RefusedRows([row(1n), row(1n, { partitionId: 2n }), row(2n), row(3n, { partitionId: -1n })]);
  rows.supersede(2n, { kind: "int64", values: [1n, 2n, 3n] });
  assert.deepEqual([...rows].map(({ key, partitionId }) => [key, partitionId]), [[1n, 1n], [2n, 1n]]);
  rows.supersede(undefined, { kind: "int64", values: [1n] });
  assert.deepEqual([...rows].map(({ key }) => key), [2n]);
  rows.leavePartition(1n);
  assert.deepEqual([rows.size, rows.bytes], [0, 0]);
});

Deno.test("RefusedRows keeps one row a key and partition, the one set last, and counts what the state keeps of it", () => {
  const rows = new RefusedRows([row("k"), row("k", { ts: 2n, columns: ["AQIDBA=="] })]);
  assert.deepEqual([rows.size, rows.bytes, rows.get(1n, "k")?.ts], [1, 8, 2n]);
  rows.set(row("k", { file: "00001.parquet", columns: [] }));
  assert.deepEqual([rows.bytes, rows.status()], [0, {
    held: 0,
    deadLetters: 1,
    keys: ['"k"'],
    reason: "too long",
  }]);
});

Deno.test("keyText shows never the whole of a long key", () => {
  assert.equal(keyText(5n), "5");
  assert.equal(keyText("ä".repeat(60)), `"${"ä".repeat(48)}"… (120 bytes)`);
});
