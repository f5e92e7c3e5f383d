/** Rows that were put aside, as DuckDB reads them: with key, reason and content, without Tidemark. */
import assert from "node:assert/strict";
import { encodeColumn } from "../../../pipeline/columns/mod.ts";
import type { Column, DeadLetter } from "../../../pipeline/model/mod.ts";
import { DataType } from "../../../pipeline/proto/gen/schema_pb.ts";
import { createDeadLetters } from "../../../stores/dead_letters.ts";
import { createFileStore } from "../../../stores/mod.ts";
import { installDuckdb } from "../../stack/mod.ts";

const SCRIPT = `
import json, sys, duckdb
rows = duckdb.sql(f"""
  select key, key_kind, ts, position, reason, row_json, octet_length("row")
  from '{sys.argv[1]}/*.parquet' where reason like '%max_length%' order by ts
""").fetchall()
types = duckdb.sql(f"select name, type from parquet_schema('{sys.argv[1]}/*.parquet') where name in ('ts', 'row')").fetchall()
print(json.dumps({"rows": [[*row[:5], json.loads(row[5]), row[6]] for row in rows], "types": dict(types)}))
`;

function letter(key: bigint | string, at: bigint, title: string, doc: string): DeadLetter {
  const base = { elementType: DataType.None, dim: 0, isDynamic: false, valid: undefined };
  const utf8 = (text: string) => new TextEncoder().encode(text);
  const columns: Column[] = [
    { ...base, fieldId: 101n, name: "title", type: DataType.VarChar, data: { kind: "utf8", values: [utf8(title)] } },
    { ...base, fieldId: 102n, name: "doc", type: DataType.JSON, data: { kind: "bytes", values: [utf8(doc)] } },
  ];
  return {
    sink: "replica",
    collectionId: 470597784452279572n,
    collection: "default.c",
    target: "default.d",
    partitionId: -1n,
    partition: "_default",
    key,
    ts: 470598793474605057n + at,
    position: `by-dev-rootcoord-dml_0@${17n + at}`,
    reason: "field title has 40 bytes, the target's max_length is 8",
    fieldsData: columns.map((column) => encodeColumn(column)),
  };
}

Deno.test("dead letters are Parquet that DuckDB reads, and that is replayed whole", async () => {
  const python = await installDuckdb();
  const folder = await Deno.makeTempDir({ prefix: "tidemark_letters_" });
  try {
    const letters = createDeadLetters({ store: createFileStore(folder), program: "test" });
    const long = "ü".repeat(20);
    const all = [letter(-9223372036854775808n, 0n, long, '{"a": 1}'), letter("ä 'key'", 1n, long, "[]")];
    for (const one of all) await letters.append([one]);
    const { code, stdout, stderr } = await new Deno.Command(python, { args: ["-c", SCRIPT, folder] }).output();
    assert.equal(code, 0, new TextDecoder().decode(stderr));
    const { rows, types } = JSON.parse(new TextDecoder().decode(stdout).replaceAll(/47059879347460505\d/g, '"$&"'));
    const bytes = all.map(({ fieldsData }) => fieldsData.reduce((sum, { length }) => sum + 4 + length, 0));
    assert.deepEqual(rows, [
      [
        "-9223372036854775808",
        "int64",
        "470598793474605057",
        all[0]!.position,
        all[0]!.reason,
        { title: long, doc: '{"a": 1}' },
        bytes[0],
      ],
      [
        "ä 'key'",
        "varchar",
        "470598793474605058",
        all[1]!.position,
        all[1]!.reason,
        { title: long, doc: "[]" },
        bytes[1],
      ],
    ]);
    assert.equal(types.ts, "INT64");
    const [file] = await letters.files();
    const plain = (some: readonly DeadLetter[]) =>
      some.map((one) => ({ ...one, fieldsData: one.fieldsData.map((part) => [...part]) }));
    assert.deepEqual(plain(await letters.read(file!)), plain(all));
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
