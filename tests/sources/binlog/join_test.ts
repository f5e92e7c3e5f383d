/** Column groups cut in any way give the same rows: files, row groups and pieces of files never end together. */
import assert from "node:assert/strict";
import fc from "fast-check";
import { readSegment } from "../../../sources/binlog/mod.ts";
import { DataType } from "../../../pipeline/proto/gen/schema_pb.ts";
import { createMemoryStore, createParquetFile } from "../../../stores/mod.ts";
import type { FieldFiles, LogFile } from "../../../pipeline/model/mod.ts";
import { segmentOf } from "../../fakes/segment.ts";
import { fileOf, schemaOf } from "./sample.ts";

const schema = schemaOf("join", [
  { id: 100n, name: "id", type: DataType.Int64, primary: true },
  { id: 101n, name: "s", type: DataType.VarChar, nullable: true },
]);
const signal = new AbortController().signal;

/** The rows [from, to) of one column, in row groups of `group` rows. */
function parquet(column: "id" | "ts" | "s", from: number, to: number, group: number): Uint8Array {
  const type = column === "s" ? "string" as const : "int64" as const;
  const name = { id: "100", ts: "1", s: "101" }[column];
  const file = createParquetFile([{ name, type, nullable: column === "s" }], { createdBy: "test" });
  for (let start = from; start < to; start += group) {
    const rows = Array.from({ length: Math.min(group, to - start) }, (_, i) => start + i);
    file.writeRowGroup([rows.map((row) => column === "s" ? row % 3 === 0 ? null : `row ${row}` : BigInt(row + 1))]);
  }
  return file.finish();
}

/** Ascending places between 0 and `rows`. */
const cuts = (rows: number) =>
  fc.uniqueArray(fc.integer({ min: 1, max: rows - 1 }), { maxLength: 4 }).map((
    list,
  ) => [0, ...list.toSorted((a, b) => a - b), rows]);

Deno.test("readSegment gives the same rows however each column group is cut into files and row groups", async () => {
  const ROWS = 120;
  const group = fc.record({ files: cuts(ROWS), rowGroup: fc.integer({ min: 1, max: 50 }) });
  await fc.assert(
    fc.asyncProperty(
      fc.tuple(group, group, group),
      fc.integer({ min: 1, max: 130 }),
      fc.constantFrom(1, 32 << 20),
      async (groups, batchRows, memoryBytes) => {
        const store = createMemoryStore();
        const binlogs: FieldFiles[] = [];
        for (const [i, { files, rowGroup }] of groups.entries()) {
          const column = (["id", "ts", "s"] as const)[i]!;
          const named: LogFile[] = [];
          for (let k = 0; k + 1 < files.length; k++) {
            const path = `insert_log/1/2/3/${i}/${k + 1}`;
            const bytes = parquet(column, files[k]!, files[k + 1]!, rowGroup);
            await store.put(path, bytes);
            named.push(fileOf(path, bytes.length, BigInt(files[k + 1]! - files[k]!)));
          }
          binlogs.push({ fieldId: BigInt(i), childFields: [[100n], [1n], [101n]][i]!, files: named });
        }
        const places = { id: 3n, collectionId: 1n, partitionId: 2n };
        const segment = segmentOf({ ...places, storageVersion: 2n, rows: BigInt(ROWS), binlogs });
        const locate = (file: LogFile) => ({ store, key: file.path });
        let row = 0;
        for await (const batch of readSegment(segment, schema, "all", locate, { batchRows, memoryBytes }, signal)) {
          assert.equal(batch.firstRow, row);
          assert.ok(batch.rows <= batchRows);
          const [id, s] = batch.columns;
          for (let i = 0; i < batch.rows; i++, row++) {
            assert.equal(id!.data.kind === "int64" && id!.data.values[i], BigInt(row + 1));
            assert.equal(batch.timestamps![i], BigInt(row + 1));
            const text = s!.valid?.[i] === 0 || s!.data.kind !== "utf8"
              ? null
              : new TextDecoder().decode(s!.data.values[i]);
            assert.equal(text, row % 3 === 0 ? null : `row ${row}`);
          }
        }
        assert.equal(row, ROWS);
      },
    ),
    { numRuns: 40 },
  );
});
