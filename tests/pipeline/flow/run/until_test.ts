import assert from "node:assert/strict";
import { hybridFromMs } from "../../../../pipeline/model/mod.ts";
import { FakePipeline, until } from "../../../fakes/pipeline.ts";
import { FakeRowSink } from "../../../fakes/row_sink.ts";
import { FakeSource } from "../../../fakes/source.ts";

Deno.test("run --until a moment that is still to come has the rows of what is made until then, on pchannels that had nothing before, too", async () => {
  const source = new FakeSource(["p_0", "p_1"]);
  const replica = new FakeRowSink("replica");
  const pipeline = new FakePipeline(source, { rows: [replica] });
  source.create("old", "p_0");
  source.insert("old", [1n, 1n]);
  source.tick();
  const moment = source.now + hybridFromMs(20);
  const run = pipeline.start({ kind: "until", ts: moment });
  await until("it is under way", () => replica.rows.get("old")?.size === 1);
  source.create("made", "p_1");
  source.create("spread", "p_0", "p_1");
  source.insert("made", [1n, 1n], [2n, 2n]);
  source.insert("spread", [1n, 1n], [2n, 2n], [3n, 3n]);
  source.delete("made", 2n);
  while (source.now <= moment) source.tick();
  const { upTo, blocked } = await run.result;
  assert.deepEqual([upTo, blocked], [moment, []]);
  assert.deepEqual(replica.rows, source.rows);
});
