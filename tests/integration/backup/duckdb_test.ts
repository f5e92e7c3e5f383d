/** The log archive as DuckDB and pandas read it. */
import { deepStrictEqual, strictEqual } from "node:assert/strict";
import { createFileStore } from "../../../stores/mod.ts";
import { facts, records, sinkOn } from "../../conformance/archive_sink.ts";
import { everyType, rewriteIn } from "../../sinks/backup/rewritten.ts";
import { linesOf } from "../../sources/binlog/folder.ts";
import { PLACE, SAMPLES, schema } from "../../sources/binlog/v2_sample.ts";
import { installDuckdb } from "../../stack/mod.ts";

const signal = new AbortController().signal;

const BY_DUCKDB = `
import json, sys, duckdb
files = sys.argv[1] + "/*.parquet"
count, low, high, data = duckdb.sql(f"select count(*), min(\\"offset\\"), max(\\"offset\\"), sum(octet_length(value)) from '{files}'").fetchall()[0]
late = duckdb.sql(f"select count(*) from '{files}' where ts >= {sys.argv[2]} and type = 'insert'").fetchall()[0][0]
groups = duckdb.sql(f"select count(*) from parquet_metadata('{files}') where path_in_schema = 'ts' and stats_min_value is not null").fetchall()[0][0]
print(json.dumps({"count": count, "low": low, "high": high, "data": int(data), "late": late, "groups": groups}))
`;

const BY_PANDAS = `
import json, sys, pandas
frame = pandas.read_parquet(sys.argv[1])
print(json.dumps({"rows": len(frame), "columns": list(frame.columns),
  "first": bytes(frame.sort_values("offset").iloc[1]["value"]).decode()}))
`;

const BY_PYARROW = `
import json, sys, glob, duckdb, pyarrow, pyarrow.parquet as parquet
rows, counts = {}, []
def cell(value, kind):
  if isinstance(value, bytes): return {"hex": value.hex()}
  if isinstance(value, list): return [cell(one, None) for one in value]
  return str(value) if kind == pyarrow.int64() and value is not None else value
for file in sorted(glob.glob(sys.argv[1] + "/*/*")):
  counts.append(duckdb.sql(f"select count(*) from read_parquet('{file}')").fetchall()[0][0])
  table = parquet.read_table(file)
  for field in table.schema:
    name = field.name + "/" + field.metadata[b"PARQUET:field_id"].decode()
    rows[name] = [cell(value, field.type) for value in table[field.name].to_pylist()]
print(json.dumps({"counts": counts, "rows": rows}))
`;

async function said(python: string, script: string, ...args: string[]): Promise<unknown> {
  const { code, stdout, stderr } = await new Deno.Command(python, { args: ["-c", script, ...args] }).output();
  strictEqual(code, 0, new TextDecoder().decode(stderr));
  return JSON.parse(new TextDecoder().decode(stdout));
}

Deno.test("the archive is Parquet that DuckDB and pandas read", async () => {
  const python = await installDuckdb();
  const path = await Deno.makeTempDir();
  try {
    const session = await sinkOn(createFileStore(path)).open(
      { resume: undefined, previous: undefined, nowMs: 0 },
      signal,
    );
    await session.begin(facts(), signal);
    const pchannel = facts().cuts[0]!.pchannel;
    const all = records(100n, 40_000);
    for (const [from, to] of [[0, 25_000], [25_000, 40_000]] as const) {
      await session.appendLog(
        pchannel,
        all.slice(from, to),
        { offset: 100n + BigInt(to), tick: all[to - 1]!.ts },
        signal,
      );
      await session.flushLog(signal);
    }
    const { ts } = all[39_000]!;
    const files = `${path}/b/log/${pchannel}`;
    deepStrictEqual(await said(python, BY_DUCKDB, files, String(ts)), {
      count: 40_000,
      low: 100,
      high: 40_099,
      data: all.reduce((sum, { record }) => sum + (record.value?.length ?? 0), 0),
      late: all.slice(39_000).filter(({ type }) => type === "insert").length,
      groups: 3,
    });
    deepStrictEqual(await said(python, BY_PANDAS, files), {
      rows: 40_000,
      columns: ["offset", "ts", "time_ms", "vchannel", "type", "headers", "value"],
      first: "record 101",
    });
  } finally {
    await Deno.remove(path, { recursive: true });
  }
});

Deno.test("what is written as storage V2 is Parquet that pyarrow and DuckDB read, every value of every type", async () => {
  const python = await installDuckdb();
  const path = await Deno.makeTempDir();
  try {
    const { store, segment } = await everyType();
    await rewriteIn(store, segment, schema, { to: createFileStore(path) });
    const { collectionId, partitionId, id } = PLACE;
    const folder = `${path}/b/binlogs/insert_log/${collectionId}/${partitionId}/${id}/${id}`;
    const found = await said(python, BY_PYARROW, folder) as { counts: number[]; rows: Record<string, unknown[]> };
    deepStrictEqual(found.counts, new Array(11).fill(260));
    const expected = linesOf<Record<string, unknown>>(new URL("v2-segment/expected.jsonl", SAMPLES));
    const fields = [...schema.fields, ...schema.structArrayFields.flatMap(({ fields }) => fields)];
    deepStrictEqual(Object.keys(found.rows).sort(), fields.map(({ name, fieldID }) => `${name}/${fieldID}`).sort());
    for (const [name, cells] of Object.entries(found.rows)) {
      deepStrictEqual(cells, expected.map((row) => row[name.slice(0, name.lastIndexOf("/"))]), name);
    }
  } finally {
    await Deno.remove(path, { recursive: true });
  }
});
