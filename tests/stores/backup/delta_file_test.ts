import { deepStrictEqual, strictEqual } from "node:assert/strict";
import { encodeDeltaFile, openParquet } from "../../../stores/mod.ts";

const OPTIONS = {
  collectionId: 470597784452279572n,
  partitionId: 470597784452279582n,
  segmentId: 470597784452279603n,
  writtenAt: 470597853918265344n,
};
const SAMPLE = new URL(
  "../../samples/milvus-backup-0.5.16/binlogs/delta_log/470597784452279572/470597784452279582/470597784452279603/470597784452279603/470597784451878697",
  import.meta.url,
);

Deno.test("encodeDeltaFile writes the envelope that Milvus 2.3.5 writes, byte for byte before the payload", async () => {
  const genuine = await Deno.readFile(SAMPLE);
  const { bytes } = encodeDeltaFile([{
    partitionId: -1n,
    keys: { kind: "int64", values: [700n] },
    timestamps: [470597853798465538n],
  }], OPTIONS)!;
  const [ours, theirs] = [new DataView(bytes.buffer), new DataView(genuine.buffer)];
  const extras = theirs.getInt32(81, true);
  const payload = 118 + extras;
  // The sizes of the payloads differ, so the event's length and the position behind it do.
  const differing = [102 + extras - 17 + 9, 102 + extras - 17 + 13];
  for (let i = 0; i < payload; i++) {
    if (differing.some((at) => i >= at && i < at + 4)) continue;
    strictEqual(bytes[i], genuine[i], `byte ${i}`);
  }
  const event = 85 + extras;
  strictEqual(ours.getInt32(event + 9, true), bytes.length - event);
  strictEqual(ours.getInt32(event + 13, true), bytes.length);
  strictEqual(theirs.getInt32(event + 9, true), genuine.length - event);
  const parquet = await openParquet(bytes.subarray(payload), "delta");
  deepStrictEqual(parquet.columns.map(({ name, optional }) => [name, optional]), [["val", false]]);
});

Deno.test("encodeDeltaFile sorts by timestamp, writes doubles once, and escapes varchar keys", async () => {
  const { bytes, entries, tsFrom, tsTo } = encodeDeltaFile([
    { partitionId: -1n, keys: { kind: "varchar", values: ['k"é\\', "b"] }, timestamps: [9n, 3n] },
    { partitionId: -1n, keys: { kind: "varchar", values: ["b"] }, timestamps: [3n] },
    { partitionId: -1n, keys: { kind: "int64", values: [-9223372036854775808n] }, timestamps: [5n] },
  ], OPTIONS)!;
  deepStrictEqual([entries, tsFrom, tsTo], [3, 3n, 9n]);
  const extras = new DataView(bytes.buffer).getInt32(81, true);
  const column = (await openParquet(bytes.subarray(118 + extras), "delta")).columns[0]!;
  const cells: string[] = [];
  for await (const { values } of column.pages()) {
    if (values.kind === "bytes") cells.push(...values.values.map((value) => new TextDecoder().decode(value)));
  }
  deepStrictEqual(cells, [
    '{"pk":"b","ts":3,"pkType":21}',
    '{"pk":-9223372036854775808,"ts":5,"pkType":5}',
    '{"pk":"k\\"é\\\\","ts":9,"pkType":21}',
  ]);
});

Deno.test("encodeDeltaFile gives nothing for no deletes", () => {
  strictEqual(encodeDeltaFile([], OPTIONS), undefined);
});
