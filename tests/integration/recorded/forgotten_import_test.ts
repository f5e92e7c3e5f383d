/** Imports of real clusters of generation 2 that a run does not see, and of which the source has forgotten the job, or the segments, too. */
import assert from "node:assert/strict";
import type { MetaSource, Snapshot } from "../../../pipeline/model/mod.ts";
import { ExactRowSink } from "../../fakes/exact_row_sink.ts";
import { stackEnv } from "../../stack/env.ts";
import { type Moment, Player, readRecording, timestampOf } from "../../stack/recorded/mod.ts";
import { differencesAt, recordedPipeline, recordedSource, unexplained } from "./recorded_pipeline.ts";

/** Rows are imported into `imp`, which is made behind the first moment; the log alone brings the others. */
const COLLECTIONS: ReadonlySet<string> = new Set(["imp", "users", "late"]);

function only(moment: Moment): Moment {
  return { ...moment, rows: moment.rows.filter(({ collection }) => COLLECTIONS.has(collection)) };
}

/** What the metadata says once jobs are gone, and with `collected` once dropped segments are. */
function forgets(meta: MetaSource, collected: boolean): MetaSource {
  const after = (taken: Snapshot): Snapshot => ({
    ...taken,
    imports: [],
    segments: collected ? taken.segments.filter(({ state }) => state !== "dropped") : taken.segments,
  });
  return {
    ...meta,
    snapshot: async (signal) => after(await meta.snapshot(signal)),
    async *watch(revision, signal) {
      for await (const change of meta.watch(revision, signal)) {
        yield { ...change, importsCompleted: [], importsUnderWay: [] };
      }
    },
    lookup: (id, signal) => meta.lookup(id, signal),
    check: (signal) => meta.check(signal),
    close: () => Promise.resolve(),
  };
}

for (const name of ["2.6.19-kafka-v2", "3.0.0-kafka-v2"]) {
  Deno.test(`run brings an import of ${name} that the source has forgotten, by its segments and by the times of its rows`, async () => {
    const env = stackEnv();
    await using player = await Player.open(readRecording(name), env);
    await using source = await recordedSource(player.servers, env);
    const sinks = [false, true].map((collected) => ({ collected, sink: new ExactRowSink(`exact ${collected}`) }));
    const pipelines = sinks.map(({ collected, sink }) => {
      const pipeline = recordedPipeline(source, { rows: [sink] });
      const selects = (_db: string, collection: string) => COLLECTIONS.has(collection);
      pipeline.override = { ...pipeline.override, meta: forgets(source.meta, collected), selects };
      return { pipeline, sink };
    });
    const [first, ...moments] = player.recording.moments.filter(({ label }) =>
      ["after-shop", "after-evolve", "after-load"].includes(label)
    );
    const last = moments.at(-1)!;
    await player.load(first!.label);
    // The base begins where the source's checkpoints are, which may be later than that moment.
    for (const { pipeline } of pipelines) await pipeline.start({ kind: "once" }).result;
    for (const moment of moments) {
      await player.load(moment.label);
      const ts = timestampOf(player.recording, moment);
      for (const { pipeline, sink } of pipelines) {
        const { blocked } = await pipeline.start({ kind: "until", ts }).result;
        assert.deepEqual(blocked, [], moment.label);
        assert.deepEqual(unexplained(differencesAt(only(moment), sink)), [], `${sink.name} ${moment.label}`);
      }
    }
    const imported = last.rows.find(({ collection }) => collection === "imp")!;
    assert.ok(Object.values(imported.partitions).flatMap((rows) => Object.keys(rows)).length >= 100);
  });
}
