/** A chain of steps over a model of a source: what happens between them, and what the target must be after each. */
import assert from "node:assert/strict";
import fc from "fast-check";
import { ExactRowSink } from "../../../fakes/exact_row_sink.ts";
import { ModelSource } from "../../../fakes/model_source.ts";
import { FakePipeline } from "../../../fakes/pipeline.ts";
import { arbitraryOp, inOrder, MilvusModel, type Op } from "../../transforms/milvus_model.ts";
import { importGate } from "../../../../pipeline/transforms/mod.ts";
import { type Content, nameOf, replay, take } from "../../transforms/model_copy.ts";

/** What happens between two steps, and with the next. */
export interface Leg {
  readonly ops: readonly Op[];
  /** Of the segments that can be collected before the step, which are: bits by their ids. */
  readonly collected: number;
  /**
   * What the step has done before it is killed: writes, what it has read of the source, and state that it is about to save or has
   * saved; it is then made again, perhaps after more has happened.
   */
  readonly killedAfter: number | undefined;
  readonly meanwhile: readonly Op[];
}

const ops = (minLength: number, maxLength: number) => fc.array(arbitraryOp, { minLength, maxLength, size: "max" });
const leg: fc.Arbitrary<Leg> = fc.record({
  ops: ops(5, 40),
  collected: fc.oneof(fc.constant(0), fc.nat(0xffff)),
  killedAfter: fc.option(fc.oneof(fc.nat(3), fc.nat(40)), { nil: undefined }),
  meanwhile: ops(0, 15),
});
export const chain = fc.array(leg, { minLength: 2, maxLength: 6 });

/** Whether a server writes down the deletes that come while an import is under way is not known, so there are none. */
export function apply(model: MilvusModel, all: readonly Op[]): void {
  for (const op of all) {
    const { id, partitionKey } = model.collections[op.collection % model.collections.length]!;
    // Nor can anybody make one where a key chooses the partition.
    if (partitionKey && op.kind === "create_partition") continue;
    const importing = model.imports.some(({ collection, state }) => collection === id && state !== "completed");
    if (importing && (op.kind === "delete" || op.kind === "upsert")) continue;
    model.apply(op);
  }
}

export function collect(model: MilvusModel, bits: number): void {
  if (bits !== 0) model.collect(({ id }) => (bits >> Number(id % 16n)) % 2 === 1);
}

/** Everything is written, and the checkpoints say so. */
export function settle(model: MilvusModel): void {
  const where = { collection: 0, partition: 0 };
  for (let collection = 0; collection < model.collections.length; collection++) {
    for (let i = 0; i < 60; i++) model.apply({ ...where, collection, kind: "import_step" });
  }
  model.tick();
  model.tick();
  for (let collection = 0; collection < model.collections.length; collection++) {
    for (const kind of ["sync", "checkpoint"] as const) {
      model.apply({ ...where, collection, kind, choice: kind === "sync" ? 0 : 3 });
      // Of which one is left out.
      if (kind === "checkpoint") model.apply({ ...where, collection, kind, choice: 2 });
    }
  }
}

/** What the log says of a collection's live partitions at the cuts, with the imports that are complete. */
function truth(model: MilvusModel, source: ModelSource, id: bigint, cuts: ReadonlyMap<string, bigint>): Content {
  const own = model.collections.find((item) => item.id === id)!;
  const done = source.taken!.imports.filter(({ state }) => state === "completed").map((task) => task.id);
  const content: Content = new Map();
  own.vchannels.forEach((vchannel, shard) => {
    const cut = cuts.get(vchannel) ?? 0n;
    const entries = [...model.logs.values()].flat().filter((entry) => entry.vchannel === vchannel && entry.ts <= cut);
    for (const task of model.imports) {
      if (task.collection !== id || !done.includes(task.id) || task.ts > cut) continue;
      const rows = task.rows.filter(({ key }) => Number(key) % own.vchannels.length === shard);
      const { ts, partition } = task;
      entries.push({ kind: "insert", ts, offset: 0n, vchannel, collection: id, partition, segment: 0n, rows });
    }
    for (const entry of entries.sort(inOrder)) replay(own, content, entry);
  });
  const live = new Set(
    source.taken!.catalog.collections.find((item) => item.id === id)!.partitions.map((item) => item.id),
  );
  for (const name of content.keys()) {
    const partition = name.split("/")[0]!;
    if (partition !== "*" && !live.has(BigInt(partition))) content.delete(name);
  }
  return content;
}

/** Keys that something written has deleted or replaced later than the cut: a compaction may have purged their rows. */
export function touchedLater(model: MilvusModel, id: bigint, cuts: ReadonlyMap<string, bigint>): Set<bigint> {
  const touched = new Set<bigint>();
  for (const entry of [...model.logs.values()].flat()) {
    if (entry.collection !== id || entry.kind !== "delete" || entry.ts <= (cuts.get(entry.vchannel) ?? 0n)) continue;
    for (const key of entry.keys) touched.add(key);
  }
  return touched;
}

export function contentOf(sink: ExactRowSink, model: MilvusModel, id: bigint): Content {
  const own = model.collections.find((item) => item.id === id)!;
  const content: Content = new Map();
  for (const [partition, rows] of sink.rowsOf({ db: "default", name: `c${id}` })) {
    for (const [key, { value }] of rows) {
      const plain = typeof key === "bigint" ? key : BigInt(key.slice(1));
      content.set(
        nameOf(own, own.partitionKey ? 0n : BigInt(partition.slice(1)), plain),
        BigInt(value as string | bigint),
      );
    }
  }
  return content;
}

/** How the target differs from what the log says at the cuts of the last step; `exact`: nothing is later than them. */
export function difference(
  model: MilvusModel,
  source: ModelSource,
  pipeline: FakePipeline,
  sink: ExactRowSink,
  exact: boolean,
): string | undefined {
  const { vchannels, collections } = pipeline.saved("replica")!;
  const cuts = new Map([...vchannels.values()].map(({ vchannel, ts }) => [vchannel, ts]));
  for (const { id } of source.taken!.catalog.collections) {
    // One whose base waits for an import.
    if (collections.get(id)?.phase !== "tail") continue;
    const wanted = truth(model, source, id, cuts);
    const got = contentOf(sink, model, id);
    const later = exact ? new Set<bigint>() : touchedLater(model, id, cuts);
    for (const name of new Set([...wanted.keys(), ...got.keys()])) {
      if (wanted.get(name) === got.get(name) || later.has(BigInt(name.slice(name.indexOf("/") + 1)))) continue;
      return `${id}: ${name} should be ${wanted.get(name)} and is ${got.get(name)}`;
    }
  }
  return undefined;
}

/** A base waits for imports; nobody else completes them here. */
export function letBegin(model: MilvusModel, pipeline: FakePipeline): void {
  const { snapshot } = take(model);
  const begun = pipeline.saved("replica")?.collections;
  const fresh = snapshot.catalog.collections.filter(({ id }) => begun?.get(id)?.phase !== "tail");
  if (importGate(snapshot, fresh).length === 0) return;
  settle(model);
  assert.deepEqual(importGate(take(model).snapshot, fresh), []);
}

export async function step(
  pipeline: FakePipeline,
  source: ModelSource,
  sink: ExactRowSink,
  killedAfter: number | undefined,
): Promise<void> {
  const run = pipeline.start({ kind: "once" });
  let deeds = 0;
  let killed: Promise<void> | undefined;
  const deed = () => {
    if (killedAfter !== undefined && deeds++ >= killedAfter) killed ??= run.kill();
  };
  sink.beforeWrite = () => Promise.resolve(deed());
  pipeline.saving = source.reading = deed;
  const ended = run.result.then(({ blocked }) => blocked, (error) => {
    if (killed === undefined) throw error;
    return [];
  });
  const blocked = await ended;
  await killed;
  sink.beforeWrite = () => Promise.resolve();
  pipeline.saving = source.reading = () => {};
  const others = blocked.filter(({ reason }) => !/[Ii]mport/.test(reason));
  assert.deepEqual(others, []);
}
