import assert from "node:assert/strict";
import type { FieldFiles, Segment } from "../../../pipeline/model/mod.ts";
import { earliestRowTs, latestTs } from "../../../pipeline/transforms/mod.ts";
import { segmentOf } from "../../fakes/segment.ts";

const position = (ts: bigint) => ({ channel: "c", offset: 1n, ts });

function group(...ranges: readonly (readonly [bigint, bigint])[]): FieldFiles {
  const file = (tsFrom: bigint, tsTo: bigint) => ({ path: "x", logId: 1n, entries: 1n, size: 1n, tsFrom, tsTo });
  return { fieldId: 1n, childFields: [], files: ranges.map(([from, to]) => file(from, to)) };
}

function segment(changes: Partial<Segment>): Segment {
  const places = { id: 1n, collectionId: 2n, partitionId: 3n };
  return segmentOf({ ...places, startPosition: position(500n), dmlPosition: position(900n), ...changes });
}

Deno.test("latestTs and earliestRowTs believe the ranges of files, whatever the positions say", () => {
  const one = segment({ binlogs: [group([100n, 200n], [150n, 300n])], deltalogs: [group([50n, 250n])] });
  assert.equal(latestTs(one), 300n);
  assert.equal(earliestRowTs(one), 100n);
  assert.equal(latestTs({ ...one, commitTimestamp: 700n }), 700n);
});

Deno.test("latestTs takes the positions where a file says 0 or 1, or a manifest names the files", () => {
  for (const [from, to] of [[0n, 0n], [1n, 1n]] as const) {
    const one = segment({ binlogs: [group([100n, 200n], [from, to])] });
    assert.equal(latestTs(one), 900n);
    assert.equal(earliestRowTs(one), 0n);
    assert.equal(latestTs({ ...one, dmlPosition: undefined }), 500n);
  }
  const kept = segment({ manifestPath: "{}", binlogs: [] });
  assert.equal(latestTs(kept), 900n);
  assert.equal(earliestRowTs(kept), 0n);
  assert.equal(latestTs({ ...kept, commitTimestamp: 1000n }), 1000n);
});
