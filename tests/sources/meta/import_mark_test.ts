import assert from "node:assert/strict";
import { create, fromBinary, type MessageInitShape } from "@bufbuild/protobuf";
import { FieldBinlogSchema, ImportTaskV2Schema, SegmentInfoSchema } from "../../../pipeline/proto/gen/data_coord_pb.ts";
import { kafkaPositions } from "../../../pipeline/positions/mod.ts";
import { isImported } from "../../../sources/meta/import_mark.ts";
import { SegmentRecords } from "../../../sources/meta/segment_record.ts";
import { readRecording } from "../../stack/recorded/recording.ts";

const records = new SegmentRecords(kafkaPositions);
const segmentInfo = (changes: MessageInitShape<typeof SegmentInfoSchema>) =>
  records.of(create(SegmentInfoSchema, changes));
const file = (tsFrom: bigint, tsTo = tsFrom) => ({ path: "", logId: 1n, entries: 1n, tsFrom, tsTo, size: 1n });
const binlogs = (...files: ReturnType<typeof file>[]) => ({ binlogs: [{ fieldId: 100n, childFields: [], files }] });

Deno.test("isImported tells the segments of 2.3 by their start, which in others lies before the first row", () => {
  const at = (timestamp: bigint) => segmentInfo({ startPosition: { timestamp } });
  assert.equal(isImported(at(50n), binlogs(file(50n))), true);
  assert.equal(isImported(at(49n), binlogs(file(50n), file(60n))), false);
  assert.equal(isImported(at(50n), { binlogs: [] }), false);
  assert.equal(
    isImported(segmentInfo({ startPosition: { timestamp: 50n }, compactionFrom: [1n] }), binlogs(file(50n))),
    false,
  );
});

for (const name of ["2.5.27-kafka-random", "2.6.19-kafka-v1", "2.6.19-kafka-v2", "3.0.0-kafka-v2"]) {
  Deno.test(`isImported marks what an import task of ${name} filled, in every state that its metadata had, and nothing else`, () => {
    const { revisions } = readRecording(name);
    const changes = revisions.flatMap(({ changes }) => changes);
    const ofTasks = new Set<bigint>();
    const files = new Map<bigint, ReturnType<typeof file>[]>();
    for (const { key, value } of changes) {
      if (value === undefined) continue;
      if (key.includes("/datacoord-meta/import-task/")) {
        for (const id of fromBinary(ImportTaskV2Schema, value).segmentIDs) ofTasks.add(id);
      } else if (key.includes("/datacoord-meta/binlog/")) {
        const id = BigInt(key.split("/").at(-2)!);
        const named = fromBinary(FieldBinlogSchema, value).binlogs.map((one) =>
          file(one.timestampFrom, one.timestampTo)
        );
        files.set(id, [...files.get(id) ?? [], ...named]);
      }
    }
    const states = changes.flatMap(({ key, value }) =>
      value !== undefined && key.includes("/datacoord-meta/s/")
        ? [records.of(fromBinary(SegmentInfoSchema, value))]
        : []
    );
    const marked = states.filter((info) => isImported(info, binlogs(...files.get(info.ID) ?? [])));
    assert.deepEqual(new Set(marked.map(({ ID }) => ID)), ofTasks);
    for (const id of ofTasks) {
      assert.equal(marked.filter(({ ID }) => ID === id).length, states.filter(({ ID }) => ID === id).length);
    }
    assert.ok(states.length > 50, `${states.length} states were seen`);
  });
}
