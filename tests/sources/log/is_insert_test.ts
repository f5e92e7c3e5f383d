import assert from "node:assert/strict";
import type { LogRecord } from "../../../pipeline/model/mod.ts";
import { beginsAsInsert, isInsert } from "../../../sources/log/gen1/is_insert.ts";
import { decodeRecord, isGeneration2, parseRecords, VchannelBook } from "../../../sources/log/mod.ts";
import { frontOfOnly, readBatches } from "../../../sources/log/kafka/record_batch.ts";
import { batchOf } from "./batches.ts";

const VECTORS = ["wal-gen1", "wal-gen1-v25", "wal-gen2", "wal-case-upgrade", "wal-case-unknown-type"];
const TRACE = new TextEncoder().encode("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01");

const records = VECTORS.flatMap((name) =>
  parseRecords(Deno.readTextFileSync(new URL(`../../vectors/${name}.jsonl`, import.meta.url)), name)
);

/** What the log says in full. */
function saysInsert(record: LogRecord): boolean {
  const said = decodeRecord(record, { pchannel: record.topic, vchannels: new VchannelBook() });
  const kinds = said.kind === "events" ? said.events.map(({ kind }) => kind) : [said.kind];
  return kinds.every((kind) => kind === "insert");
}

const frontOf = (record: Pick<LogRecord, "headers" | "value">) => frontOfOnly(readBatches(batchOf([record]))[0]!);

Deno.test("isInsert and beginsAsInsert never take another record for an insert", () => {
  assert.ok(records.length > 200);
  for (const record of records) {
    if (!isInsert(record) && !beginsAsInsert(frontOf(record))) continue;
    assert.ok(!isGeneration2(record), `${record.topic} ${record.offset} is of generation 2`);
    const skipped = decodeRecord(record, { pchannel: record.topic, vchannels: new VchannelBook() });
    assert.ok(
      saysInsert(record) || skipped.kind === "skip" ||
        (skipped.kind === "block" && /An insert |of type Insert/.test(skipped.reason)),
      `${record.topic} ${record.offset} is ${skipped.kind}`,
    );
  }
});

Deno.test("beginsAsInsert finds the inserts of generation 1, with the header of a trace and without", () => {
  const inserts = records.filter((record) => !isGeneration2(record) && saysInsert(record));
  assert.ok(inserts.length >= 10);
  for (const { value } of inserts) {
    assert.equal(isInsert({ value, headers: [] }), true);
    assert.equal(beginsAsInsert(frontOf({ value, headers: [] })), true);
    assert.equal(beginsAsInsert(frontOf({ value, headers: [["traceparent", TRACE]] })), true);
    assert.equal(beginsAsInsert(frontOf({ value, headers: [["collection_id", TRACE]] })), false);
    // Half a base says nothing.
    for (let length = 0; length < 8; length++) {
      const front = frontOf({ value, headers: [] })!;
      assert.equal(beginsAsInsert({ ...front, value: front.value.subarray(0, length) }), false);
    }
  }
});

Deno.test("isInsert and beginsAsInsert leave a row message of generation 2, whatever its body is", () => {
  const [insert] = records.filter((record) => !isGeneration2(record) && saysInsert(record));
  const rows = records.filter((record) => isGeneration2(record) && record.headers.some(([name]) => name === "_vc"));
  assert.ok(rows.length >= 10);
  for (const { headers } of rows) {
    assert.equal(isInsert({ value: insert!.value, headers }), false);
    assert.equal(beginsAsInsert(frontOf({ value: insert!.value, headers })), false);
  }
});
