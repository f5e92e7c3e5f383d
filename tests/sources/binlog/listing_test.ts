import assert from "node:assert/strict";
import type { ObjectStore } from "../../../pipeline/model/mod.ts";
import { createBinlogSource } from "../../../sources/binlog/mod.ts";
import { segmentOf } from "../../fakes/segment.ts";
import { createMemoryStore } from "../../../stores/mod.ts";

const signal = new AbortController().signal;
const COUNT = 12;

function filesOf(kind: "insert_log" | "delta_log", id: bigint) {
  const path = kind === "insert_log" ? `${kind}/7/8/${id}/100/1` : `${kind}/7/8/${id}/1`;
  return [{
    fieldId: 100n,
    childFields: [],
    files: [{ path, logId: 1n, entries: 1n, tsFrom: 2n, tsTo: 2n, size: 1n }],
  }];
}

/** Segments 0 and on, each with a file of rows and one of deletes; `listed`: what was asked for. */
async function setUp() {
  const memory = createMemoryStore();
  const listed: string[] = [];
  const store: ObjectStore = {
    ...memory,
    list: (prefix, ...more) => {
      listed.push(prefix);
      return memory.list(prefix, ...more);
    },
  };
  const segments = Array.from({ length: COUNT }, (_, i) => {
    const id = BigInt(i);
    const [binlogs, deltalogs] = [filesOf("insert_log", id), filesOf("delta_log", id)];
    return segmentOf({ id, collectionId: 7n, partitionId: 8n, binlogs, deltalogs });
  });
  for (const { binlogs, deltalogs } of segments) {
    for (const { files: [file] } of [...binlogs, ...deltalogs]) await memory.put(file!.path, Uint8Array.of(1));
  }
  return { memory, segments, listed, source: createBinlogSource({ store, root: "" }) };
}

Deno.test("verify lists of a few segments their own folders only, and all delta files", async () => {
  const { memory, segments, listed, source } = await setUp();
  const gone = (id: number) => memory.delete([segments[id]!.binlogs[0]!.files[0]!.path]);
  await gone(1);
  await gone(3);
  const { findings, deltaFiles, insertFiles } = await source.verify(7n, segments, signal, new Set([3n, 5n]));
  assert.deepEqual(listed.sort(), ["delta_log/7/", "insert_log/7/8/3/", "insert_log/7/8/5/"]);
  assert.deepEqual(findings.map(({ kind, segmentId }) => [kind, segmentId]), [["missing", 3n]]);
  assert.deepEqual([deltaFiles.length, insertFiles], [COUNT, 1]);
});

Deno.test("verify misses the delta file of a segment whose rows are not wanted", async () => {
  const { memory, segments, listed, source } = await setUp();
  await memory.delete([segments[4]!.deltalogs[0]!.files[0]!.path]);
  const { findings } = await source.verify(7n, segments, signal, new Set());
  assert.deepEqual(listed, ["delta_log/7/"]);
  assert.deepEqual(findings.map(({ kind, segmentId }) => [kind, segmentId]), [["missing", 4n]]);
});

Deno.test("verify lists all where many are wanted, or one has its deletes beside its rows", async () => {
  const { segments, listed, source } = await setUp();
  await source.verify(7n, segments, signal, new Set([0n, 1n, 2n, 3n]));
  await source.verify(7n, segments, signal);
  const base = "insert_log/7/8/99";
  const v3 = segmentOf({
    id: 99n,
    collectionId: 7n,
    partitionId: 8n,
    class: "none",
    state: "dropped",
    manifestPath: JSON.stringify({ ver: 0, base_path: base }),
  });
  await source.verify(7n, [...segments, v3], signal, new Set([0n]));
  const all = ["delta_log/7/", "insert_log/7/"];
  assert.deepEqual(listed, [...all, ...all, ...all]);
});
