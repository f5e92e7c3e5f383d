import assert from "node:assert/strict";
import * as kafka from "@platformatic/kafka";
import { parseFetchResponse } from "../../../../sources/log/kafka/fetch_response.ts";
import { readBatches } from "../../../../sources/log/kafka/record_batch.ts";
import { answerOf, at, batchOf, inPieces, joined } from "../batches.ts";

const TOPIC = { name: "by-dev-rootcoord-dml_0", id: "0a1b2c3d-4e5f-6071-8293-a4b5c6d7e8f9" };
const VERSIONS = Array.from({ length: 14 }, (_, i) => i + 4);
const text = new TextEncoder();

const records = joined(
  at(batchOf([{ value: text.encode("a") }, { value: text.encode("b") }], "zstd"), 5n),
  at(batchOf([{ value: text.encode("c") }]), 7n),
);

function plain({ responses, ...rest }: ReturnType<typeof parseFetchResponse>) {
  const content = responses.map(({ topicId, partitions }) => ({
    topicId,
    partitions: partitions.map(({ records, ...rest }) => ({
      ...rest,
      records: new Uint8Array(records.slice(0, records.length)),
    })),
  }));
  return { ...rest, content };
}

type Parse = (correlation: number, key: number, version: number, reader: kafka.Reader) => kafka.fetchV17.FetchResponse;

/** The client's own reader of that version. */
function byClient(version: number, bytes: Uint8Array): kafka.fetchV17.FetchResponse {
  const { parseResponse } = (kafka as unknown as Record<string, { parseResponse: Parse }>)[`fetchV${version}`]!;
  return parseResponse(0, 1, version, kafka.Reader.from(Buffer.from(bytes)));
}

for (const version of VERSIONS) {
  Deno.test(`parseFetchResponse reads version ${version} as the Kafka client does`, () => {
    const bytes = answerOf(version, TOPIC, [
      { highWatermark: 900n, records, aborted: [[1n, 2n], [3n, 4n]] },
      { highWatermark: 12n, records: null },
      { highWatermark: 13n, records: new Uint8Array(0) },
    ]);
    const ours = parseFetchResponse(bytes, version);
    assert.deepEqual(plain(parseFetchResponse(inPieces(bytes, 5), version)), plain(ours));
    const theirs = byClient(version, bytes);
    assert.equal(ours.throttleTimeMs, theirs.throttleTimeMs);
    assert.equal(ours.errorCode, theirs.errorCode ?? 0);
    assert.equal(ours.sessionId, theirs.sessionId ?? 0);
    assert.equal(ours.responses.length, 1);
    const [topic] = theirs.responses;
    assert.equal(ours.responses[0]!.topicId, topic!.topicId);
    assert.equal(topic!.topicId, version >= 13 ? TOPIC.id : TOPIC.name);
    assert.deepEqual(
      ours.responses[0]!.partitions.map(({ records, ...rest }) => ({
        ...rest,
        batches: readBatches(records).map(({ firstOffset, lastOffset }) => [firstOffset, lastOffset]),
      })),
      topic!.partitions.map((partition) => ({
        partitionIndex: partition.partitionIndex,
        errorCode: partition.errorCode,
        highWatermark: partition.highWatermark,
        lastStableOffset: partition.lastStableOffset,
        logStartOffset: partition.logStartOffset,
        preferredReadReplica: partition.preferredReadReplica,
        batches: (partition.records ?? []).map(({ firstOffset, lastOffsetDelta }) => [
          firstOffset,
          firstOffset + BigInt(lastOffsetDelta),
        ]),
      })),
    );
    assert.deepEqual(readBatches(ours.responses[0]!.partitions[0]!.records).map((batch) => batch.firstOffset), [
      5n,
      7n,
    ]);
  });
}

Deno.test("parseFetchResponse tells the error of a partition, and throws where bytes are missing", () => {
  const bytes = answerOf(17, TOPIC, [{ highWatermark: -1n, errorCode: 1, records: null }]);
  assert.equal(parseFetchResponse(bytes, 17).responses[0]!.partitions[0]!.errorCode, 1);
  for (let length = 0; length < bytes.length - 1; length++) {
    assert.throws(() => parseFetchResponse(bytes.subarray(0, length), 17), RangeError, `${length} bytes`);
  }
});
