/**
 * The log archive as DuckDB and pandas read it. Skipped where `DUCKDB_PYTHON` does not name a Python that has duckdb, pandas
 * and pyarrow (`python3 -m venv v && v/bin/pip install duckdb pandas pyarrow`).
 */
import { deepStrictEqual, strictEqual } from "node:assert/strict";
import { createFileStore } from "../../../stores/mod.ts";
import { facts, records, sinkOn } from "../../conformance/archive_sink.ts";

const python = Deno.env.get("DUCKDB_PYTHON");
const signal = new AbortController().signal;

const SCRIPT = `
import json, sys, duckdb, pandas
files = sys.argv[1] + "/*.parquet"
count, low, high, data = duckdb.sql(f"select count(*), min(\\"offset\\"), max(\\"offset\\"), sum(octet_length(value)) from '{files}'").fetchall()[0]
late = duckdb.sql(f"select count(*) from '{files}' where ts >= {sys.argv[2]} and type = 'insert'").fetchall()[0][0]
groups = duckdb.sql(f"select count(*) from parquet_metadata('{files}') where path_in_schema = 'ts' and stats_min_value is not null").fetchall()[0][0]
frame = pandas.read_parquet(sys.argv[1])
print(json.dumps({"count": count, "low": low, "high": high, "data": int(data), "late": late, "groups": groups,
  "rows": len(frame), "columns": list(frame.columns), "first": bytes(frame.sort_values("offset").iloc[1]["value"]).decode()}))
`;

Deno.test({
  name: `the archive is Parquet that DuckDB and pandas read${
    python === undefined ? " (skipped: DUCKDB_PYTHON is not set)" : ""
  }`,
  ignore: python === undefined,
  async fn() {
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
      const command = new Deno.Command(python!, { args: ["-c", SCRIPT, `${path}/b/log/${pchannel}`, String(ts)] });
      const { code, stdout, stderr } = await command.output();
      strictEqual(code, 0, new TextDecoder().decode(stderr));
      deepStrictEqual(JSON.parse(new TextDecoder().decode(stdout)), {
        count: 40_000,
        low: 100,
        high: 40_099,
        data: all.reduce((sum, { record }) => sum + (record.value?.length ?? 0), 0),
        late: all.slice(39_000).filter(({ type }) => type === "insert").length,
        groups: 3,
        rows: 40_000,
        columns: ["offset", "ts", "time_ms", "vchannel", "type", "headers", "value"],
        first: "record 101",
      });
    } finally {
      await Deno.remove(path, { recursive: true });
    }
  },
});
