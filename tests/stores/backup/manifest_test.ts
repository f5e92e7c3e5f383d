import { deepStrictEqual, strictEqual, throws } from "node:assert/strict";
import { type BackupManifest, decodeManifest, encodeManifest } from "../../../stores/mod.ts";

const MANIFEST: BackupManifest = {
  name: "b",
  pipeline: "p",
  writtenBy: "tidemark 0.1.0",
  generation: 1,
  queue: "kafka",
  source: { clusterId: "14841639068965178418", serverVersion: "2.3.5", revision: 470n, takenAtMs: 1_795_188_355_000 },
  startedMs: 1_795_188_355_000,
  finishedMs: 1_795_188_356_000,
  previous: "a",
  logArchive: true,
  exactFrom: 470597853918265344n,
  cuts: [{ vchannel: "p_1v0", pchannel: "p", collectionId: 470597784452279572n, offset: 9n, ts: 470597853918265344n }],
  collections: [{
    id: 470597784452279572n,
    name: "default.c",
    schema: new Uint8Array([1, 2]),
    startOffsets: new Map([["p", 7n]]),
  }],
  failed: [{ id: 3n, name: "default.d", reason: "dropped" }],
  findings: [{
    kind: "dirty_insert",
    path: "x",
    collectionId: 1n,
    segmentId: 2n,
    detail: "d",
    bytes: 470597784452279572n,
  }],
  ownDeltas: ["binlogs/x"],
  knownDeletes: [{ vchannel: "p_1v0", topicId: "00000000-0000-0000-0000-000000000001" }],
  segments: [{
    id: 470597784452279600n,
    collectionId: 470597784452279572n,
    partitionId: 5n,
    vchannel: "p_1v0",
    rows: 80n,
    manifestPath: '{"ver":2,"base_path":"files/insert_log/1/2/3"}',
    rewritten: true,
    commitTimestamp: 470597853918265344n,
    childFields: new Map([[0n, [100n, 0n, 1n]], [101n, [101n]]]),
    files: [{ path: "insert_log/1/2/3/_data/a.parquet", size: 9n }],
  }],
  sharedBytes: 470597784452279572n,
  objects: [
    { path: "binlogs/a", size: 3n, sum: "sha256:00" },
    { path: "binlogs/b", size: 4n, sum: "md5:00" },
  ],
};

Deno.test("decodeManifest gives back what encodeManifest wrote, ids unrounded", () => {
  const text = encodeManifest(MANIFEST);
  JSON.parse(text);
  const { objects, ...rest } = decodeManifest(text, "tidemark.json");
  const { objects: expected, ...wanted } = MANIFEST;
  deepStrictEqual([rest, objects], [wanted, expected]);
  const empty = decodeManifest(encodeManifest({ ...MANIFEST, objects: [], cuts: [] }), "tidemark.json");
  deepStrictEqual([empty.objects, empty.cuts], [[], []]);
});

Deno.test("decodeManifest reads a manifest of an older version, which states no known deletes and no segments", () => {
  const text = encodeManifest({ ...MANIFEST, knownDeletes: [], segments: [] })
    .replace(/"knownDeletes": \[\],?/, "").replace(/"segments": \[\n\n \],?/, "");
  deepStrictEqual(/knownDeletes|segments/.test(text), false);
  const { knownDeletes, segments } = decodeManifest(text, "tidemark.json");
  deepStrictEqual([knownDeletes, segments], [[], []]);
});

Deno.test("decodeManifest reads the same from JSON in another layout", () => {
  const compact = encodeManifest(MANIFEST).replaceAll("\n", "");
  deepStrictEqual(decodeManifest(compact, "tidemark.json").objects, MANIFEST.objects);
});

Deno.test("decodeManifest refuses a list of objects that is cut off, wherever", () => {
  const text = encodeManifest(MANIFEST);
  const from = text.indexOf('"objects": [\n') + 13;
  for (let end = from; end < text.indexOf(" ]", from); end++) {
    throws(() => decodeManifest(text.slice(0, end), "tidemark.json").objects, { code: "damaged" }, `cut at ${end}`);
  }
});

Deno.test("decodeManifest refuses another format", () => {
  throws(() => decodeManifest('{"tidemark":2}', "tidemark.json"), { code: "unsupported" });
  throws(() => decodeManifest("[]", "tidemark.json"), { code: "damaged" });
  strictEqual(encodeManifest(MANIFEST).startsWith('{\n "tidemark": 1,'), true);
});
