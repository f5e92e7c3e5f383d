/** Storage V3: manifests in all forms, the files they name, deletes, texts. See tests/samples/README.md. */
import assert from "node:assert/strict";
import fc from "fast-check";
import type { ColumnBatch, LogFile, Segment } from "../../../pipeline/model/mod.ts";
import { DataType } from "../../../pipeline/proto/gen/schema_pb.ts";
import { parseManifest } from "../../../sources/binlog/manifest.ts";
import { readManifest } from "../../../sources/binlog/manifest_segment.ts";
import { inlineTexts } from "../../../sources/binlog/text_cells.ts";
import { createBinlogSource, readDeltaFile, readSegment } from "../../../sources/binlog/mod.ts";
import { bytesSource, type MemoryStore } from "../../../stores/mod.ts";
import { linesOf, storeOf } from "./folder.ts";
import { type Made, oldest } from "./made_manifest.ts";
import { segmentOf } from "../../fakes/segment.ts";
import { schemaOf } from "./sample.ts";

const SAMPLES = new URL("../../samples/storage/", import.meta.url);
const BASE = "insert_log/21/22/23";
const signal = new AbortController().signal;

interface Row {
  readonly "1": string;
  readonly "100": string;
  readonly "101": { readonly hex: string };
  readonly "102": string | null;
  readonly deleted: boolean;
}

const schema = schemaOf("v3", [
  { id: 100n, name: "id", type: DataType.Int64, primary: true },
  { id: 101n, name: "v", type: DataType.FloatVector, dim: 4 },
  { id: 102n, name: "note", type: DataType.VarChar, nullable: true },
]);
const expected = linesOf<Row>(new URL("v3-manifest-milv1/expected.jsonl", SAMPLES));
const genuineStore = () => storeOf(new URL("v3-manifest-milv1/files/", SAMPLES));

function segmentAt(pointer: object, changes: Partial<Segment> = {}): Segment {
  return segmentOf({
    id: 23n,
    collectionId: 21n,
    partitionId: 22n,
    storageVersion: 3n,
    manifestPath: JSON.stringify(pointer),
    rows: 80n,
    ...changes,
  });
}

const located = (store: MemoryStore) => (file: LogFile) => ({ store, key: file.path });

async function rowsOf(store: MemoryStore, segment: Segment): Promise<ColumnBatch[]> {
  return await Array.fromAsync(readSegment(segment, schema, "all", located(store)));
}

function check(batches: readonly ColumnBatch[], wanted: readonly Row[]): void {
  const rows = batches.flatMap((batch) =>
    Array.from({ length: batch.rows }, (_, i) => {
      const [id, v, note] = batch.columns.map(({ data, valid }) => ({ data, valid }));
      const vector = v!.data.kind === "fixed" ? v!.data.bytes.subarray(i * 16, i * 16 + 16) : assert.fail();
      return {
        id: id!.data.kind === "int64" ? id!.data.values[i]!.toString() : assert.fail(),
        vector: [...vector].map((byte) => byte.toString(16).padStart(2, "0")).join(""),
        note: note!.valid?.[i] === 0 || note!.data.kind !== "utf8"
          ? null
          : new TextDecoder().decode(note!.data.values[i]),
        ts: batch.timestamps![i]!.toString(),
      };
    })
  );
  assert.deepEqual(
    rows,
    wanted.map((row) => ({ id: row["100"], vector: row["101"].hex, note: row["102"], ts: row["1"] })),
  );
}

Deno.test("readSegment reads a genuine segment of storage V3 by its manifest, with either form of base path", async () => {
  const store = await genuineStore();
  // 2.6 puts the bucket in front, 3.0 does not; the root that the server had does not count.
  for (const path of [`a-bucket/files/${BASE}`, `files/${BASE}`, BASE]) {
    check(await rowsOf(store, segmentAt({ ver: 2, base_path: path })), expected);
  }
  check(await rowsOf(store, segmentAt({ ver: 1, base_path: BASE }, { rows: 50n })), expected.slice(0, 50));
});

Deno.test("readSegment takes the version that metadata says, not the highest, and calls a missing one missing", async () => {
  const store = await genuineStore();
  assert.deepEqual(await rowsOf(store, segmentAt({ ver: 0, base_path: BASE }, { state: "growing", rows: 0n })), []);
  assert.deepEqual(await rowsOf(store, segmentAt({ ver: -1, base_path: BASE }, { state: "growing", rows: 0n })), []);
  await assert.rejects(rowsOf(store, segmentAt({ ver: 3, base_path: BASE })), {
    code: "not_found",
    message: /manifest-3\.avro \(segment 23\)/,
  });
  await assert.rejects(rowsOf(store, segmentAt({ ver: 0, base_path: BASE })), { code: "damaged", message: /80 rows/ });
  await assert.rejects(rowsOf(store, segmentAt({ ver: 2, base_path: "files/insert_log/21/22/24" })), {
    code: "damaged",
    message: /another place/,
  });
  await assert.rejects(rowsOf(store, segmentAt({ ver: 1, base_path: BASE })), {
    code: "damaged",
    message: /50 rows in its files where metadata says 80/,
  });
});

Deno.test("A manifest that names no file of rows is damaged where metadata says that there are rows", async () => {
  const store = await genuineStore();
  const key = `${BASE}/_metadata/manifest-2.avro`;
  const segment = segmentAt({ ver: 2, base_path: BASE });
  for (const groups of [[], [{ columns: ["0", "1", "100", "101", "102"], files: [] }]]) {
    await store.put(key, oldest(groups));
    await assert.rejects(rowsOf(store, segment), { code: "damaged", message: /names no file of rows .* says 80/ });
    const { findings } = await createBinlogSource({ store, root: "" }).verify(21n, [segment], signal);
    assert.deepEqual(
      findings.filter(({ kind }) => kind === "unreadable").map(({ path }) => path),
      [key],
    );
    assert.deepEqual(await rowsOf(store, { ...segment, state: "growing", rows: 0n }), []);
  }
});

Deno.test("createBinlogSource.verify confirms the files of a manifest, finds its deletes and what is missing", async () => {
  const store = await genuineStore();
  const source = createBinlogSource({ store, root: "" });
  const segment = segmentAt({ ver: 2, base_path: BASE });
  const report = await source.verify(21n, [segment], signal);
  assert.deepEqual(report.findings, []);
  assert.equal(report.insertFiles, 6);
  assert.deepEqual(report.deltaFiles.map(({ path }) => path), [`${BASE}/_delta/449000000000000901`]);
  const marks = await Array.fromAsync(source.deletes(report.deltaFiles[0]!, signal));
  assert.deepEqual(
    marks.flatMap(({ keys }) => [...keys.values].map(String)).sort(),
    [
      ...expected.filter(({ deleted }) => deleted).map((row) => row["100"]),
    ].sort(),
  );
  assert.ok(marks.every(({ partitionId }) => partitionId === 22n));

  const [gone] = [...store.objects.keys()].filter((key) => key.includes("/_data/1_"));
  await store.delete([gone!]);
  const second = await source.verify(21n, [segment], signal);
  assert.deepEqual(second.findings.map(({ kind, path }) => [kind, path]), [["missing", gone]]);
  await store.delete([`${BASE}/_metadata/manifest-2.avro`]);
  const third = await source.verify(21n, [segment], signal);
  assert.deepEqual(third.findings.map(({ kind, path }) => [kind, path]), [
    ["missing", `${BASE}/_metadata/manifest-2.avro`],
  ]);
});

for (const name of ["main", "branch3.0", "deflate"]) {
  Deno.test(`parseManifest reads the container form of ${name} by its own schema`, () => {
    const file = new URL(`v3-manifest-ocf/manifest-7-${name}.avro`, SAMPLES);
    const wanted = JSON.parse(Deno.readTextFileSync(new URL("v3-manifest-ocf/expected.json", SAMPLES)));
    const { groups, deltas, stats, lobs } = parseManifest(Deno.readFileSync(file), name);
    assert.deepEqual(
      groups.map(({ columns, files, format }) => ({
        columns,
        format,
        files: files.map(({ path, start, end }) => ({ path, start_index: Number(start), end_index: Number(end) })),
      })),
      wanted.column_groups.map(({ columns, files, format }: typeof wanted.column_groups[0]) => ({
        columns,
        format,
        files: files.map(({ path, start_index, end_index }: Record<string, unknown>) => ({
          path,
          start_index,
          end_index,
        })),
      })),
    );
    assert.deepEqual(groups.flatMap(({ files }) => files.map(({ size }) => size)), [1392n, 1272n, 0n, 0n]);
    assert.deepEqual(deltas, [{ path: "449000000000000901", type: 0n, entries: 2n }]);
    assert.deepEqual(stats.toSorted(), ["bloom_filter.100/449000000000000902", "bm25.106/449000000000000903"]);
    const lob = wanted.lob_files[0];
    assert.deepEqual(lobs, [{ path: lob.path, fieldId: 105n, size: BigInt(lob.file_size_bytes) }]);
  });
}

const fileSize = (file: URL) => Deno.statSync(file).size;

const DATA = [
  ["100", "0", "1"],
  ["102"],
  ["101"],
].map((columns, group): Made => {
  const folder = new URL(`v3-manifest-milv1/files/${BASE}/_data/`, SAMPLES);
  const names = [...Deno.readDirSync(folder)].map(({ name }) => name).filter((name) => name.startsWith(`${group}_`));
  // The files of the first write, of 50 rows, then those of the second, of 30.
  const ordered = names.toSorted((a, b) => fileSize(new URL(b, folder)) - fileSize(new URL(a, folder)));
  return {
    columns,
    files: ordered.map((name, i) => ({ path: `_data/${name}`, start: 0n, end: i === 0 ? 50n : 30n })),
  };
});

Deno.test("readSegment reads the manifest form of 2.6, and files that end at other rows in each group", async () => {
  const store = await genuineStore();
  const put = (groups: readonly Made[]) => store.put(`${BASE}/_metadata/manifest-9.avro`, oldest(groups));
  const segment = segmentAt({ ver: 9, base_path: `a-bucket/files/${BASE}` });
  await put(DATA);
  check(await rowsOf(store, segment), expected);
  // One group takes its rows in other pieces, another without saying where they end.
  const [first, second] = DATA[1]!.files;
  const pieces = [
    { path: first!.path, start: 0n, end: 13n },
    { path: first!.path, start: 13n, end: 50n },
    { path: second!.path, start: 0n, end: 1n },
    { path: second!.path, start: 1n },
  ];
  const open = DATA[2]!.files.map(({ path }) => ({ path }));
  await put([DATA[0]!, { ...DATA[1]!, files: pieces }, { ...DATA[2]!, files: open }]);
  check(await rowsOf(store, segment), expected);
  await put([DATA[0]!, DATA[1]!, { ...DATA[2]!, files: open.slice(0, 1) }]);
  await assert.rejects(rowsOf(store, segment), {
    code: "damaged",
    message: /v.* ends at row 50 where other fields go on/,
  });
  await put([DATA[0]!, DATA[1]!, { ...DATA[2]!, format: "vortex" }]);
  await assert.rejects(rowsOf(store, segment), {
    code: "unsupported",
    message: /Segment 23 keeps column group 2 \(fields 101\) in the format vortex/,
  });
  await put([DATA[0]!, DATA[1]!, { columns: ["embedding"], files: [{ path: "s3://elsewhere/x.parquet" }] }]);
  await assert.rejects(rowsOf(store, segment), { code: "unsupported", message: /external/i });
});

for (const kind of ["int64", "varchar"]) {
  Deno.test(`readDeltaFile reads a genuine bare delta file of ${kind} keys whose columns have no names`, async () => {
    const file = new URL(`v3-delta/${kind}/_delta/449000000000000900`, SAMPLES);
    const wanted = linesOf<{ pk: string; ts: string }>(new URL(`v3-delta/${kind}/expected.jsonl`, SAMPLES));
    const marks = await Array.fromAsync(readDeltaFile(bytesSource(Deno.readFileSync(file)), kind, 7n));
    const found = marks.flatMap(({ keys, timestamps }) =>
      [...keys.values].map((pk, i) => ({ pk: String(pk), ts: timestamps[i]!.toString() }))
    );
    assert.deepEqual(found, wanted);
  });
}

Deno.test("inlineTexts takes texts out of their cells and refuses those kept elsewhere, by the name of the file", () => {
  const cells = JSON.parse(Deno.readTextFileSync(new URL("v3-manifest-ocf/text-cells.json", SAMPLES))) as {
    cell_hex: string;
    kind: string;
    text: string;
    file: string;
  }[];
  for (const { cell_hex, kind, text, file } of cells) {
    const cell = Uint8Array.from(cell_hex.match(/../g)!, (pair) => parseInt(pair, 16));
    const page = { rows: 1, valid: undefined, values: { kind: "bytes" as const, values: [cell] } };
    if (kind !== "inline") {
      assert.throws(() => inlineTexts(page, "Field t"), { code: "unsupported", message: new RegExp(file) });
      continue;
    }
    const { values } = inlineTexts(page, "Field t");
    assert.equal(values.kind === "bytes" && new TextDecoder().decode(values.values[0]), text);
  }
  const empty = { rows: 1, valid: Uint8Array.of(0), values: { kind: "bytes" as const, values: [new Uint8Array()] } };
  assert.deepEqual(inlineTexts(empty, "Field t"), empty);
  assert.throws(() => inlineTexts({ ...empty, valid: undefined }, "Field t"), { code: "damaged" });
});

Deno.test("readManifest calls every cut or changed manifest damaged, or reads another one; it never fails otherwise", async () => {
  const names = ["v3-manifest-ocf/manifest-7-main.avro", "v3-manifest-ocf/manifest-7-deflate.avro"];
  const samples = [
    ...names.map((name) => Deno.readFileSync(new URL(name, SAMPLES))),
    Deno.readFileSync(new URL(`v3-manifest-milv1/files/${BASE}/_metadata/manifest-2.avro`, SAMPLES)),
    oldest(DATA),
  ];
  const store = await storeOf(new URL("v3-delta/", SAMPLES));
  const segment = segmentAt({ ver: 5, base_path: BASE });
  await fc.assert(
    fc.asyncProperty(
      fc.nat(samples.length - 1),
      fc.array(fc.tuple(fc.nat(), fc.nat(255)), { maxLength: 6 }),
      fc.option(fc.nat()),
      async (which, changes, cut) => {
        const bytes = samples[which]!.slice();
        for (const [at, value] of changes) bytes[at % bytes.length] = value;
        const file = cut === null ? bytes : bytes.subarray(0, cut % bytes.length);
        await store.put(`${BASE}/_metadata/manifest-5.avro`, file);
        try {
          await readManifest(segment, (path) => ({ store, key: path }));
        } catch (error) {
          const code = (error as { code?: string }).code;
          assert.ok(code === "damaged" || code === "unsupported", `${error instanceof Error ? error.stack : error}`);
        }
      },
    ),
    { numRuns: 400 },
  );
});
