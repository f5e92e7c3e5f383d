import assert from "node:assert/strict";
import type { FileFinding, Segment } from "../../../pipeline/model/mod.ts";
import { createBinlogSource } from "../../../sources/binlog/mod.ts";
import { envelopeOf, int64Parquet } from "./build.ts";
import { fileOf, SAMPLE_COLLECTION, SAMPLE_DEFAULT, sampleStore, segmentsIn } from "./sample.ts";
import { segmentOf } from "../../fakes/segment.ts";

const signal = new AbortController().signal;

async function sample() {
  const store = await sampleStore();
  return { store, source: createBinlogSource({ store, root: "files" }), segments: await segmentsIn(store) };
}

const brief = (findings: readonly FileFinding[]) => findings.map((finding) => [finding.kind, finding.path]);

Deno.test("verify reports every kind of dirty insert file and none of them as data", async () => {
  const { store, source, segments } = await sample();
  const base = `insert_log/${SAMPLE_COLLECTION}/${SAMPLE_DEFAULT}`;
  const live = segments.find((segment) => segment.partitionId === SAMPLE_DEFAULT)!;
  const file = live.binlogs.find((group) => group.fieldId === 100n)!.files[0]!;
  const bytes = store.objects.get(`files/${file.path}`)!.bytes;
  const copy = `${base}/${live.id}/100/1`;
  const orphan = `${base}/5/100/6`;
  const half = `${base}/5/101/7`;
  const odd = `${base}/${live.id}/100/part.tmp`;
  await store.put(`files/${copy}`, bytes);
  await store.put(`files/${orphan}`, bytes);
  await store.put(`files/${half}`, bytes.subarray(0, 200));
  await store.put(`files/${odd}`, bytes);
  const report = await source.verify(SAMPLE_COLLECTION, segments, signal);
  assert.deepEqual(
    brief(report.findings).sort(),
    [copy, orphan, half, odd].sort().map((path) => ["dirty_insert", path]),
  );
  const detail = (path: string) => report.findings.find((finding) => finding.path === path)!.detail;
  assert.match(detail(copy), /is live but does not name it/);
  assert.match(detail(orphan), /Segment 5 is not in the metadata/);
  assert.doesNotMatch(detail(orphan), /half/);
  assert.match(detail(half), /not whole: a half upload/);
  assert.match(detail(odd), /Not a path/);
  assert.equal(report.insertFiles, 84);
  assert.equal(report.findings.find((finding) => finding.path === half)!.bytes, 200n);
});

Deno.test("verify reports named files that are missing or of another size", async () => {
  const { store, source, segments } = await sample();
  const [a, b] = segments[0]!.binlogs.map((group) => group.files[0]!);
  await store.delete([`files/${a!.path}`]);
  await store.put(`files/${b!.path}`, store.objects.get(`files/${b!.path}`)!.bytes.subarray(0, 100));
  const delta = segments.flatMap((segment) => segment.deltalogs.flatMap((group) => group.files))[0]!;
  await store.delete([`files/${delta.path}`]);
  const report = await source.verify(SAMPLE_COLLECTION, segments, signal);
  assert.deepEqual(
    brief(report.findings).sort(),
    [["missing", a!.path], ["missing", delta.path], ["wrong_size", b!.path]].sort(),
  );
  assert.match(
    report.findings.find((finding) => finding.kind === "wrong_size")!.detail,
    /says \d+ bytes, the store has 100/,
  );
  assert.equal(report.deltaFiles.length, 3);
});

Deno.test("verify judges files by being whole where a release stores sizes in memory", async () => {
  const { store, source, segments } = await sample();
  const inflated = segments.map((segment): Segment => ({
    ...segment,
    deltalogs: [],
    binlogs: segment.binlogs.map((group) => ({
      ...group,
      files: group.files.map((file) => ({ ...file, size: file.size * 3n + 1n })),
    })),
  }));
  const clean = (await source.verify(SAMPLE_COLLECTION, inflated, signal)).findings;
  assert.ok(clean.every((finding) => finding.kind === "unnamed_delta"));
  const broken = inflated[0]!.binlogs[0]!.files[0]!;
  await store.put(`files/${broken.path}`, store.objects.get(`files/${broken.path}`)!.bytes.subarray(0, 300));
  const found = (await source.verify(SAMPLE_COLLECTION, inflated, signal)).findings;
  assert.deepEqual(brief(found.filter((finding) => finding.kind === "wrong_size")), [["wrong_size", broken.path]]);
});

Deno.test("verify names a segment whose files are encrypted, whatever their storage, so that nobody copies what cannot be restored", async () => {
  const { store, source, segments } = await sample();
  const rows = segments.filter(({ binlogs }) => binlogs.length > 0).sort((a, b) => a.id < b.id ? -1 : 1);
  const [oldest, newest] = [rows.at(0)!, rows.at(-1)!];
  const encrypted = async (segment: Segment, bytes: Uint8Array) => {
    const { path } = segment.binlogs[0]!.files[0]!;
    await store.put(`files/${path}`, bytes);
    const { findings } = await source.verify(SAMPLE_COLLECTION, segments, signal);
    return findings.filter(({ kind }) => kind === "unreadable").map(({ segmentId, detail }) => [segmentId, detail]);
  };
  const said = ({ id }: Segment) => [id, `Segment ${id} is encrypted by the source's cipher plugin`];
  const clear = envelopeOf(1, int64Parquet([1n]));
  const byKey = envelopeOf(1, int64Parquet([1n]), { extras: { edek: "key", encryption_zone: 1 } });
  assert.deepEqual(await encrypted(newest, clear), []);
  assert.deepEqual(await encrypted(newest, byKey), [said(newest)]);
  assert.deepEqual(await encrypted(oldest, new TextEncoder().encode("PARE and what nobody can read PARE")), [
    said(oldest),
    said(newest),
  ]);
});

Deno.test("verify gives every delta file there is, and says which ones nobody names", async () => {
  const { store, source, segments } = await sample();
  const unnamed = `delta_log/${SAMPLE_COLLECTION}/${SAMPLE_DEFAULT}/77/88`;
  const named = segments.flatMap((segment) => segment.deltalogs.flatMap((group) => group.files))[0]!;
  await store.put(`files/${unnamed}`, store.objects.get(`files/${named.path}`)!.bytes);
  await store.put(`files/delta_log/${SAMPLE_COLLECTION}/odd`, new Uint8Array(3));
  const report = await source.verify(SAMPLE_COLLECTION, segments, signal);
  assert.deepEqual(brief(report.findings).sort(), [
    ["unnamed_delta", unnamed],
    ["unnamed_delta", `delta_log/${SAMPLE_COLLECTION}/odd`],
  ]);
  assert.equal(report.deltaFiles.length, 5);
  const file = report.deltaFiles.find((one) => one.path === unnamed)!;
  assert.equal(file.logId, 88n);
  const marks = await Array.fromAsync(source.deletes(file, signal));
  assert.equal(marks[0]!.partitionId, SAMPLE_DEFAULT);
});

Deno.test("verify leaves dropped segments alone: their files may be there or gone", async () => {
  const { store, source, segments } = await sample();
  const dropped = segments.map((segment): Segment => ({ ...segment, state: "dropped", class: "none" }));
  await store.delete([`files/${segments[0]!.binlogs[0]!.files[0]!.path}`]);
  const report = await source.verify(SAMPLE_COLLECTION, dropped, signal);
  assert.deepEqual(report.findings, []);
  assert.equal(report.insertFiles, 0);
  assert.equal(report.deltaFiles.length, 4);
});

Deno.test("verify does not call a manifest's files dirty", async () => {
  const { store, source, segments } = await sample();
  const id = 99n;
  const v3 = segmentOf({
    id,
    collectionId: SAMPLE_COLLECTION,
    partitionId: SAMPLE_DEFAULT,
    state: "growing",
    manifestPath: JSON.stringify({ ver: 0, base_path: `insert_log/${SAMPLE_COLLECTION}/${SAMPLE_DEFAULT}/${id}` }),
  });
  await store.put(`files/insert_log/${SAMPLE_COLLECTION}/${SAMPLE_DEFAULT}/${id}/_data/1.parquet`, new Uint8Array(5));
  await store.put(`files/insert_log/${SAMPLE_COLLECTION}/${SAMPLE_DEFAULT}/lobs/101/1`, new Uint8Array(5));
  assert.deepEqual((await source.verify(SAMPLE_COLLECTION, [...segments, v3], signal)).findings, []);
  assert.equal(fileOf("a/5", 1).logId, 5n);
});
