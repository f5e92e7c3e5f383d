import assert from "node:assert/strict";
import { finalize, from, lastValueFrom } from "rxjs";
import { newSinkState } from "../../../../pipeline/flow/state/run_state.ts";
import { RowTail } from "../../../../pipeline/flow/rows/tail.ts";
import { Waits } from "../../../../pipeline/waits.ts";
import type { RowTailOptions } from "../../../../pipeline/flow/rows/tail_options.ts";
import type { TickGroup } from "../../../../pipeline/model/mod.ts";
import { FakePipeline } from "../../../fakes/pipeline.ts";
import { FakeRowSink } from "../../../fakes/row_sink.ts";
import { FakeSource } from "../../../fakes/source.ts";

Deno.test("RowTail needs no group from before its own point: a stream that began earlier takes no position back", () => {
  const targets = { later: new Set(), catalog: { collections: [] } };
  const tail = new RowTail({ state: newSinkState(), targets } as unknown as RowTailOptions);
  const at = (tick: bigint) => tail.needs({ pchannel: "p", tick } as TickGroup);
  tail.startsAt("p", { offset: 8n, tick: 80n });
  assert.deepEqual([79n, 80n, 81n].map(at), [false, false, true]);
});

Deno.test("RowTail holds the collection that an unreadable change on the control channel names, and says what names none", async () => {
  const own = { id: 7n, vchannels: ["p_3_7v0"], source: { db: "default", name: "a" }, blocked: undefined };
  const said: string[] = [];
  const options = {
    state: newSinkState(),
    targets: {
      later: new Set<bigint>(),
      state: (id: bigint) => id === 7n ? own : undefined,
      live: () => undefined,
      catalog: { collections: [] },
    },
    deps: {
      report: { warn: (_key: string, message: string) => void said.push(message) },
      meta: { lookup: () => Promise.resolve({ state: "unknown" }) },
      limits: { laneDepth: 1, batchRows: 1, batchBytes: 1 },
      crash: () => {},
      waits: new Waits(),
    },
    blocked: (collection: string, { message }: Error) => void said.push(`${collection}: ${message}`),
    changed: () => {},
    acknowledged: () => {},
    signal: new AbortController().signal,
  } as unknown as RowTailOptions;
  const block = (collectionId: bigint, reason: string) => ({
    kind: "block",
    vchannel: "p_vcchan",
    pchannel: "p",
    ts: 5n,
    offset: 1n,
    collectionId,
    reason,
  });
  const tail = new RowTail(options);
  const events = [block(7n, "Files were replaced"), block(-1n, "Type 950 is not known")];
  const group = { pchannel: "p", tick: 9n, events, records: [], resume: { offset: 2n, tick: 9n }, bytes: 0 };
  tail.closeControl(false);
  await lastValueFrom(tail.run(from([group as unknown as TickGroup])), { defaultValue: undefined });
  assert.deepEqual(said, ["default.a: Files were replaced", "Type 950 is not known"]);
  assert.equal(own.blocked, "Files were replaced");
  assert.equal(tail.cares(7n), true, "what it lacks is kept for the next run");
});

Deno.test("RowTail writes no row that stands behind what holds its collection, also where one tick brings both", async () => {
  const source = new FakeSource(["p_0"]);
  const replica = new FakeRowSink("replica");
  const pipeline = new FakePipeline(source, { rows: [replica] });
  source.create("items", "p_0");
  source.insert("items", [1n, 1n]);
  await pipeline.once();
  assert.deepEqual([...replica.rows.get("items")!], [[1n, 1n]]);
  source.insert("items", [2n, 2n]);
  const reason = "A record of type 950 is not known";
  pipeline.override = {
    follow: async function* (request, signal) {
      for await (const group of source.follow(request, signal)) {
        const events = group.events.flatMap((
          event,
        ) => [{ ...event, kind: "block" as const, type: 950, reason }, event]);
        yield { ...group, events };
      }
    },
  };
  const { blocked } = await pipeline.once();
  assert.equal(blocked.length, 1);
  assert.deepEqual([...replica.rows.get("items")!], [[1n, 1n]], "nothing of behind the block");
  pipeline.override = {};
  await pipeline.once();
  assert.deepEqual(replica.rows, source.rows, "a version that can read it goes on before it");
});

for (
  const [operation, name, blocks, cut] of [
    ["drop_collection", "drop", 0, false],
    ["truncate_collection", "truncation", 1, false],
    ["truncate_collection", "truncation", 0, true],
  ] as const
) {
  const end = cut ? "is stopped while" : "ends though";
  Deno.test(`RowTail ${end} a ${name} has reached only some channels, does not apply it, and goes on before it`, async () => {
    const vchannels = ["p_0_7v0", "p_1_7v1"];
    const own = {
      id: 7n,
      vchannels,
      source: { db: "default", name: "a" },
      target: {},
      broadcastsDone: [],
      phase: "tail",
    };
    const said: string[] = [];
    const collection = {
      id: 7n,
      dbName: "default",
      name: "a",
      vchannels,
      pchannels: ["p_0", "p_1"],
      schema: { fields: [{ isPrimaryKey: true, dataType: 5 }] },
    };
    const state = newSinkState();
    const destroyed = () => Promise.reject(new Error("it must not be applied"));
    const options = {
      state,
      targets: {
        later: new Set<bigint>(),
        catalog: { collections: [] },
        state: () => own,
        live: () => collection,
        ensure: () => Promise.resolve(own),
        dropCollection: destroyed,
        truncate: destroyed,
      },
      deps: {
        report: { warn: (_key: string, message: string) => void said.push(message) },
        waits: new Waits(),
        selects: () => true,
        limits: { laneDepth: 2, batchRows: 1, batchBytes: 1 },
        crash: () => {},
      },
      blocked: (_collection: string, { message }: Error) => void said.push(message),
      changed: () => {},
      acknowledged: () => {},
      signal: new AbortController().signal,
    } as unknown as RowTailOptions;
    const group = (pchannel: string, tick: bigint, events: unknown[] = []) =>
      ({ pchannel, tick, events, records: [], resume: { offset: tick, tick }, bytes: 0 }) as unknown as TickGroup;
    const copy = {
      kind: "ddl",
      operation,
      vchannel: vchannels[0],
      pchannel: "p_0",
      ts: 15n,
      offset: 14n,
      collectionId: 7n,
      partitionIds: [],
      broadcast: { id: 9n, vchannels: ["p_0_vcchan", ...vchannels] },
    };
    const tail = new RowTail(options);
    for (const pchannel of ["p_0", "p_1"]) tail.startsAt(pchannel, { offset: 1n, tick: 1n });
    const groups = from([group("p_0", 10n), group("p_1", 20n), group("p_0", 20n, [copy])]);
    await lastValueFrom(tail.run(groups.pipe(finalize(() => tail.closeControl(cut)))), { defaultValue: undefined });
    assert.equal(said.length, cut ? 0 : 1, said.join());
    if (!cut) {
      assert.match(said[0]!, new RegExp(`The ${name} of default.a has reached 1 of its 2 channels .*not yet p_1_7v1`));
    }
    assert.equal("blocked" in own ? 1 : 0, blocks);
    assert.deepEqual([...state.positions.keys()].sort(), ["p_0", "p_1"], "all is acknowledged");
    const held = state.vchannels.get("p_0_7v0");
    assert.deepEqual([held?.held, held?.offset, held?.ts], [true, 10n, 10n]);
  });
}
