import assert from "node:assert/strict";
import { checkFiles, refuseWrongRoot } from "../../../../pipeline/flow/base/mod.ts";
import type { CheckLine, LogFile, Segment, Snapshot } from "../../../../pipeline/model/mod.ts";
import { createMemoryStore } from "../../../../stores/mod.ts";

const signal = new AbortController().signal;
const file = (path: string) => ({ path } as LogFile);

function segment(id: bigint, collectionId = 1n): Segment {
  const binlogs = [0n, 1n, 100n].map((fieldId) => ({
    fieldId,
    childFields: [],
    files: [file(`insert_log/${collectionId}/2/${id}/${fieldId}/4`)],
  }));
  return { id, collectionId, class: "rows", binlogs } as unknown as Segment;
}

function setup() {
  const store = createMemoryStore();
  const object = ({ path }: LogFile) => ({ store, key: `files/${path}` });
  const put = (key: string) => store.put(`files/insert_log/${key}`, new Uint8Array(1));
  return { object, put };
}

Deno.test("checkFiles fails where no file of the metadata is in the storage, and passes where some are", async () => {
  const { object, put } = setup();
  const of = (segments: Segment[]) => checkFiles({ segments }, { object }, signal);
  assert.deepEqual(await of([]), []);
  // Another cluster's files lie there: the folders are right, the segments are not.
  await put("9/9/9/0/9");
  const segments = [segment(3n), segment(5n)];
  const [line] = await of(segments);
  assert.equal(line!.ok, "fail");
  assert.equal(line!.code, "not_found");
  assert.match(
    line!.detail,
    /No file of 2 segments that the metadata names .* for example files\/insert_log\/1\/2\/3\/0\/4: .*another Milvus/,
  );
  // What is damaged is not elsewhere.
  await put("1/2/3/100/4");
  assert.equal((await of(segments))[0]!.ok, "ok");
});

Deno.test("checkFiles asks for segments of every collection: one whose files somebody deleted says nothing of the others", async () => {
  const { object, put } = setup();
  await put("7/2/1/0/4");
  const deleted = Array.from({ length: 40 }, (_, i) => segment(100n + BigInt(i)));
  for (const segments of [[segment(1n, 7n), ...deleted], [...deleted, segment(1n, 7n)]]) {
    assert.equal((await checkFiles({ segments }, { object }, signal))[0]!.ok, "ok");
  }
});

Deno.test("refuseWrongRoot says that the files are another cluster's, and does not take compacted ones for that", async () => {
  const { object, put } = setup();
  const right: CheckLine = { what: "binlogs s3://b below files", ok: "ok", detail: "Holds insert_log" };
  const refuse = (snapshots: Segment[][], line = right) => {
    const snapshot = () => Promise.resolve({ segments: snapshots.shift()! } as unknown as Snapshot);
    return refuseWrongRoot({ binlogs: { object, check: () => Promise.resolve([line]) }, meta: { snapshot } }, signal);
  };
  const [gone, there] = [segment(1n), segment(2n)];
  await put("1/2/2/0/4");
  await refuse([[there]]);
  // Compacted and collected between reading the metadata and asking for the files.
  await refuse([[gone], [there]]);
  await assert.rejects(refuse([[gone], [gone]]), { code: "not_found", message: /is in memory.*another Milvus/ });
  const empty: CheckLine = { ...right, ok: "fail", code: "not_found", detail: "Set root_path to x" };
  await assert.rejects(refuse([], empty), { message: "binlogs s3://b below files: Set root_path to x" });
});
