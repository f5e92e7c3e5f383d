/** A recording of 2.6.19 into targets that do not know its nulls, types and functions: every row, but for what was agreed. */
import assert from "node:assert/strict";
import { type Json, parseJson } from "../../../pipeline/json.ts";
import type { AgreedColumn } from "../../../pipeline/model/mod.ts";
import { decodeFieldData, DEFAULT_FILL } from "../../../pipeline/columns/mod.ts";
import { DataType } from "../../../pipeline/proto/gen/schema_pb.ts";
import type { UnsupportedPolicy } from "../../../pipeline/transforms/mod.ts";
import { ExactRowSink } from "../../fakes/exact_row_sink.ts";
import type { FakePipeline } from "../../fakes/pipeline.ts";
import { stackEnv } from "../../stack/env.ts";
import { type Moment, Player, readRecording } from "../../stack/recorded/mod.ts";
import { differencesAt, recordedPipeline, recordedSource, unexplained } from "./recorded_pipeline.ts";

const FILL: UnsupportedPolicy = { policy: "fill", values: { ...DEFAULT_FILL, text: "n/a" } };

Deno.test("run holds what an old target does not know, or leaves it out, or fills it, as was agreed; verify knows", async () => {
  const env = stackEnv();
  await using player = await Player.open(readRecording("2.6.19-kafka-v2"), env);
  await player.load();
  await using source = await recordedSource(player.servers, env);
  const truth = player.recording.moments.at(-1)!;

  const held = recordedPipeline(source, { rows: [new ExactRowSink("exact", "2.4.5")] });
  const plan = await held.plan();
  const { blocked } = await held.start({ kind: "once" }).result;
  const names = blocked.map(({ collection }) => collection).sort();
  assert.deepEqual(plan.problems.map((problem) => problem.split(":")[0]).sort(), names);
  assert.ok(names.includes("shop.orders") && !names.includes("shop.users"), names.join());

  for (const unsupported of [{ policy: "drop_column" } as const, FILL]) {
    const sink = new ExactRowSink("exact", "2.4.5");
    const pipeline = recordedPipeline(source, { rows: [sink] });
    pipeline.override = { ...pipeline.override, unsupported };
    assert.deepEqual((await pipeline.plan()).problems, []);
    assert.deepEqual((await pipeline.start({ kind: "once" }).result).blocked, []);
    const agreed = agreedBy(pipeline);
    assert.deepEqual(
      agreed.get("shop.orders")!.map(({ field, change, value }) => [field, change, value]),
      unsupported.policy === "fill" ? [["note", "filled", '"n/a"']] : [["note", "left_out", ""]],
    );
    assert.ok(agreed.get("shop.orders")![0]!.values > 0n);
    assert.deepEqual(unexplained(differencesAt(asAgreed(truth, agreed), sink)), []);
    // The target has no loads of its own that could fail: what cannot be read is compared above.
    const report = await pipeline.verify();
    assert.deepEqual(report.collections.filter(({ verdict }) => verdict === "different"), []);
    const orders = report.collections.find(({ source }) => source === "shop.orders")!;
    if (orders.verdict === "equal") assert.equal(orders.agreed.length, 1);
  }
});

/** `database.collection` -> what became of its columns. */
function agreedBy(pipeline: FakePipeline): Map<string, readonly AgreedColumn[]> {
  const collections = [...pipeline.saved("exact")!.collections.values()];
  return new Map(collections.map(({ source, agreed }) => [`${source.db}.${source.name}`, agreed]));
}

/** JSON is filled with its text. */
function filled(column: string, value: Json): Json {
  const { type } = decodeFieldData(Uint8Array.fromBase64(column), 1);
  return type === DataType.JSON ? parseJson(value as string) : value;
}

/** The true rows, less columns that were left out, with values for nulls. */
function asAgreed(moment: Moment, agreed: ReadonlyMap<string, readonly AgreedColumn[]>): Moment {
  const rows = moment.rows.map((truth) => {
    const changes = agreed.get(`${truth.db}.${truth.collection}`) ?? [];
    const change = (row: Record<string, unknown>) => {
      const own = { ...row };
      for (const { field, change, value, column } of changes) {
        const outer = field.split("[")[0]!;
        if (change === "left_out") delete own[outer];
        else if (change === "filled") own[outer] ??= filled(column, parseJson(value));
      }
      return own;
    };
    const partitions = Object.entries(truth.partitions).map(([partition, own]) => [
      partition,
      Object.fromEntries(Object.entries(own).map(([key, row]) => [key, change(row)])),
    ]);
    return { ...truth, partitions: Object.fromEntries(partitions) };
  });
  return { ...moment, rows };
}
