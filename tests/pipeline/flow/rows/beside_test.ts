/** Loads and indexes that a target refuses, in whole runs over fakes. */
import assert from "node:assert/strict";
import type { DdlOutcome, LoadMode, RowSink } from "../../../../pipeline/model/mod.ts";
import { FakePipeline, until } from "../../../fakes/pipeline.ts";
import { FakeRowSink } from "../../../fakes/row_sink.ts";
import { FakeSource } from "../../../fakes/source.ts";

/** Refuses to load while `refusal` is set; `loaded`: names of what it loaded. */
class Refusing extends FakeRowSink {
  refusal: Pick<DdlOutcome, "detail" | "passing"> | undefined;
  attempts = 0;
  readonly loaded = new Set<string>();

  override async reconcile(...args: Parameters<RowSink["reconcile"]>): Promise<DdlOutcome[]> {
    const [{ source, target }, , parts, gate] = args;
    const outcomes = await super.reconcile(...args);
    if (parts !== "all" || this.loaded.has(target.name)) return outcomes;
    const step = {
      kind: "load",
      collectionId: source.id,
      sentence: `Load ${target.name}`,
      destructive: false,
    } as const;
    if (gate(step) === "skip") return outcomes;
    this.attempts++;
    if (this.refusal !== undefined) return [...outcomes, { ...step, result: "refused", ...this.refusal }];
    this.loaded.add(target.name);
    return [...outcomes, { ...step, result: "applied", detail: "" }];
  }
}

const REFUSED = { detail: "not enough nodes for 2 replicas" };

function setup(load: LoadMode = "source") {
  const source = new FakeSource();
  const replica = new Refusing("replica");
  const pipeline = new FakePipeline(source, {});
  pipeline.override = { sinks: [{ sink: replica, onExisting: "fail", load }] };
  source.create("a", "p_0");
  source.insert("a", [1n, 1n]);
  replica.refusal = REFUSED;
  return { source, replica, pipeline };
}

Deno.test("Beside lets rows go on while a load is refused, says when it is tried again, and loads once the target takes it", async () => {
  const { source, replica, pipeline } = setup();
  const run = pipeline.start();
  using _ticking = source.ticking();
  await until("the first row", () => replica.rows.get("a")?.has(1n) === true);
  source.insert("a", [2n, 2n]);
  await until("a row behind the refusal", () => replica.rows.get("a")?.has(2n) === true);
  await until("a second attempt", () => replica.attempts >= 2);
  const status = run.status();
  assert.notEqual(status.phase, "blocked");
  assert.equal(status.collections[0]!.blockedReason, undefined);
  const [wait] = status.waits;
  assert.deepEqual([wait?.component, wait?.collection], ["sinks.replica", "default.a"]);
  assert.match(wait!.reason, /Load a: .*not enough nodes for 2 replicas.*sinks\.replica\.replicas/);
  assert.ok(wait!.since !== "" && wait!.next > wait!.since, JSON.stringify(wait));
  replica.refusal = undefined;
  await until("it is loaded", () => replica.loaded.has("a"));
  await until("nothing waits any more", () => run.status().waits.length === 0);
  await run.stop();
});

Deno.test("Beside fails a run that ends while a load is still refused, and the next start tries it again", async () => {
  const { source, replica, pipeline } = setup();
  const first = await pipeline.once();
  assert.deepEqual([first.blocked, first.refused.map(({ sentence }) => sentence)], [[], ["Load a"]]);
  assert.deepEqual(replica.rows, source.rows);
  replica.refusal = undefined;
  const second = await pipeline.once();
  assert.deepEqual([second.blocked, second.refused], [[], []]);
  assert.ok(replica.loaded.has("a"));
});

Deno.test("Beside waits at the end of a run for what passes by itself", async () => {
  const { replica, pipeline } = setup();
  replica.refusal = { detail: "unrecoverable error", passing: true };
  setTimeout(() => replica.refusal = undefined, 1500);
  assert.deepEqual((await pipeline.once()).refused, []);
  assert.ok(replica.loaded.has("a"));
});

Deno.test("Beside does not fail a run with load: best_effort", async () => {
  const { replica, pipeline } = setup("best_effort");
  assert.deepEqual((await pipeline.once()).refused, []);
  assert.ok(replica.attempts > 0 && !replica.loaded.has("a"));
});
