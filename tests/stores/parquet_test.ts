import assert from "node:assert/strict";
import fc from "fast-check";
import { type ByteSource, bytesSource, openParquet, type ParquetPage, readParquet } from "../../stores/mod.ts";

const folder = new URL("../samples/parquet/", import.meta.url);
const sample = (name: string) => Deno.readFileSync(new URL(name, folder));
const ROWS = 1000;

/** What row i holds, by column. */
const FORMULAS: Record<string, (i: number) => unknown> = {
  b: (i) => i % 3 === 0 ? 1 : 0,
  i8: (i) => i % 256 - 128,
  i32: (i) => i * 1000003 % 2 ** 31,
  i64: (i) => -(2n ** 62n) + BigInt(i),
  f: (i) => Math.fround(i / 7),
  d: (i) => i / 3,
  s: (i) => [...new TextEncoder().encode(`ä${i % 17}`)],
  y: (i) => Array.from({ length: 2 * (i % 40) }, (_, k) => k % 2 === 0 ? 0 : 255),
  x: (i) => [...new Uint8Array(Float32Array.of(i, -i || 0, i / 2, 0).buffer)],
};

function valueAt({ values }: ParquetPage, row: number): unknown {
  if (values.kind === "fixed") return [...values.bytes.subarray(row * values.width, (row + 1) * values.width)];
  const value = values.values[row];
  return value instanceof Uint8Array ? [...value] : value;
}

for (const form of ["dictionary", "plain", "plain-v2", "delta", "uncompressed"]) {
  for (const kind of ["required", "nullable"]) {
    const name = `${form}-${kind}.parquet`;
    Deno.test(`readParquet reads every type of ${name}`, async () => {
      const { file, columns } = await readParquet(sample(name), name);
      assert.equal(file.rows, ROWS);
      assert.deepEqual(file.columns.map((column) => column.name), Object.keys(FORMULAS));
      columns.forEach((page, index) => {
        const formula = FORMULAS[file.columns[index]!.name]!;
        assert.equal(page.rows, ROWS);
        for (let i = 0; i < ROWS; i++) {
          const isNull = kind === "nullable" && i % 5 === 0;
          assert.equal(page.valid?.[i] ?? 1, isNull ? 0 : 1);
          if (!isNull) assert.deepEqual(valueAt(page, i), formula(i), `${file.columns[index]!.name} ${i}`);
        }
      });
    });
  }
}

Deno.test("openParquet reads page by page through small windows, with bounded reads", async () => {
  const bytes = sample("plain-nullable.parquet");
  let largest = 0;
  const source: ByteSource = {
    size: bytes.length,
    window: 512,
    async read(start, end) {
      assert.ok(start >= 0 && end <= bytes.length && start < end);
      largest = Math.max(largest, end - start);
      return bytes.slice(start, end);
    },
  };
  const file = await openParquet(source, "windows");
  const column = file.columns.find((one) => one.name === "i64")!;
  largest = 0;
  let rows = 0;
  let pages = 0;
  for await (const page of column.pages()) {
    pages++;
    for (let i = 0; i < page.rows; i++, rows++) {
      if (rows % 5 !== 0) assert.equal(valueAt(page, i), FORMULAS.i64!(rows));
    }
  }
  assert.equal(rows, ROWS);
  assert.ok(pages > 1);
  assert.ok(largest < bytes.length / 2);
});

Deno.test("openParquet tells row groups, statistics and field ids, and reads chosen groups", async () => {
  const file = await openParquet(sample("dictionary-required.parquet"), "groups");
  assert.deepEqual(file.groups, [
    { firstRow: 0, rows: 300 },
    { firstRow: 300, rows: 300 },
    { firstRow: 600, rows: 300 },
    { firstRow: 900, rows: 100 },
  ]);
  const column = file.columns.find((one) => one.name === "i64")!;
  assert.deepEqual(column.statistics(2), { min: -(2n ** 62n) + 600n, max: -(2n ** 62n) + 899n });
  const pages = await Array.fromAsync(column.pages([3]));
  assert.equal(pages.reduce((sum, page) => sum + page.rows, 0), 100);
  assert.equal(valueAt(pages[0]!, 0), -(2n ** 62n) + 900n);
  const groups = await openParquet(sample("v2-narrow-0.parquet"), "ids");
  assert.deepEqual(groups.columns.map((one) => one.fieldId), [0n, 1n, 100n, 101n, 103n]);
});

Deno.test("openParquet reads an empty file and refuses nested columns with the reason", async () => {
  const empty = await readParquet(sample("empty.parquet"), "empty");
  assert.equal(empty.file.rows, 0);
  assert.equal(empty.columns[0]!.rows, 0);
  const file = await openParquet(sample("list.parquet"), "list.parquet");
  await assert.rejects(Array.fromAsync(file.columns[0]!.pages()), { code: "unsupported", message: /nested/ });
});

for (const version of ["v1", "v2"]) {
  Deno.test(`readParquet reads lists of fixed-size values whose rows reach over pages, of ${version}`, async () => {
    const { file, columns } = await readParquet(sample(`lists-${version}.parquet`), version);
    assert.deepEqual(file.columns.map(({ name, fieldId, width, form }) => [name, fieldId, width, form]), [
      ["req", 133n, 8, "list"],
      ["opt", 134n, 8, "list"],
    ]);
    columns.forEach((page, index) => {
      assert.equal(page.rows, ROWS);
      for (let i = 0; i < ROWS; i++) {
        const isNull = index === 1 && i % 7 === 0;
        assert.equal(page.valid?.[i] ?? 1, isNull ? 0 : 1, `row ${i}`);
        const count = isNull ? 0 : i % 50 === 49 ? 300 : i % 4;
        const expected = new Float32Array(Array.from({ length: count }, (_, k) => [i, k]).flat());
        assert.deepEqual(valueAt(page, i), [...new Uint8Array(expected.buffer)], `row ${i}`);
      }
    });
  });
}

Deno.test("openParquet calls an encrypted file unsupported and says so, not damaged", async () => {
  const bytes = new TextEncoder().encode("PARE............PARE");
  await assert.rejects(openParquet(bytes, "insert_log/1"), {
    code: "unsupported",
    message: /insert_log\/1 is encrypted/,
  });
});

Deno.test("openParquet calls every cut or changed file damaged, or reads other values; it never fails otherwise", async () => {
  const names = [
    "dictionary-nullable.parquet",
    "plain-v2-required.parquet",
    "delta-nullable.parquet",
    "lists-v1.parquet",
    "lists-v2.parquet",
  ];
  const samples = names.map(sample);
  await fc.assert(
    fc.asyncProperty(fc.nat(4), fc.nat(), fc.nat(255), fc.boolean(), async (which, at, value, cut) => {
      const original = samples[which]!;
      const bytes = cut ? original.slice(0, at % original.length) : original.slice();
      if (!cut) bytes[at % bytes.length] = value;
      try {
        await readParquet(bytesSource(bytes), "changed");
        assert.ok(!cut);
      } catch (error) {
        if (error instanceof assert.AssertionError) throw error;
        const code = (error as { code?: string }).code;
        assert.ok(code === "damaged" || code === "unsupported", `${error instanceof Error ? error.stack : error}`);
      }
    }),
    { numRuns: 300 },
  );
});
