/** A watch of the metadata that is behind what lookups say: what is known to be newer stays. */
import assert from "node:assert/strict";
import type { CatalogChange, MetaSource } from "../../../../pipeline/model/mod.ts";
import { ExactRowSink } from "../../../fakes/exact_row_sink.ts";
import { FakePipeline, until } from "../../../fakes/pipeline.ts";
import { FakeSource } from "../../../fakes/source.ts";

function setup() {
  const source = new FakeSource();
  const sink = new ExactRowSink("exact");
  const pipeline = new FakePipeline(source, { rows: [sink] });
  const watch = heldWatch(source.meta);
  pipeline.override = { meta: watch.meta };
  source.create("a", "p_0");
  source.insert("a", [1n, 10n]);
  return { source, sink, pipeline, watch };
}

/** Tells no more changes than it is let. */
function heldWatch(meta: MetaSource) {
  let [left, told] = [0, 0];
  let more = Promise.withResolvers<void>();
  return {
    meta: {
      ...meta,
      async *watch(revision: bigint, signal: AbortSignal): AsyncGenerator<CatalogChange> {
        for await (const change of meta.watch(revision, signal)) {
          while (left === 0) await more.promise;
          left--;
          told++;
          yield change;
        }
      },
    },
    get told() {
      return told;
    },
    let(changes: number): void {
      left += changes;
      more.resolve();
      more = Promise.withResolvers();
    },
  };
}

Deno.test("Targets keeps a field that a lookup has told of when the watch tells what was before it", async () => {
  const { source, sink, pipeline, watch } = setup();
  const run = pipeline.start();
  {
    using _ticking = source.ticking();
    await until("the first row is there", () => keys(sink, "a").length === 1);
    source.load("a");
    source.addField("a");
    source.insert("a", [2n, 20n]);
    await until("the row with the new field is there", () => keys(sink, "a").length === 2);
    watch.let(1);
    const isLoaded = () => sink.collections.get("default/a")!.actual.load !== undefined;
    await until("the target is loaded, or it is held", () => isLoaded() || pipeline.warnings.length > 0);
    source.insert("a", [3n, 30n]);
    await until(
      "the next row is there, or it is held",
      () => keys(sink, "a").length === 3 || pipeline.warnings.length > 0,
    );
  }
  watch.let(Infinity);
  await run.stop();
  assert.deepEqual([pipeline.warnings, (await run.result).blocked], [[], []]);
  assert.equal(watch.told > 0, true);
});

function keys(sink: ExactRowSink, name: string): string[] {
  if (!sink.collections.has(`default/${name}`)) return [];
  return [...sink.rowsOf({ db: "default", name }).values()].flatMap((rows) => [...rows.keys()].map(String));
}
