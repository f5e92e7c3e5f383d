import assert from "node:assert/strict";
import { refusalHint } from "../../../../pipeline/flow/rows/structure_steps.ts";
import { Barriers } from "../../../../pipeline/flow/rows/barriers.ts";
import { RowDdl, Unfinished } from "../../../../pipeline/flow/rows/ddl.ts";
import { Held } from "../../../../pipeline/flow/rows/held.ts";
import type { RowTailOptions } from "../../../../pipeline/flow/rows/tail_options.ts";
import { eventually } from "../../../stack/eventually.ts";
import { Waits } from "../../../../pipeline/waits.ts";
import type { DdlEvent, DdlOperation } from "../../../../pipeline/model/mod.ts";

const A = "p_0_7v0";
const B = "p_1_7v1";

/** A collection of two channels, of which each begins at its `starts`; `isLive`: still in the source's catalog. */
function setup(starts: Readonly<Record<string, bigint>> = {}, isLive = true) {
  const did: string[] = [];
  const source = { db: "default", name: "a" };
  const own = {
    ...{ id: 7n, source, vchannels: [A, B], broadcastsDone: [] as bigint[] },
    ...{ importsDone: [] as bigint[], importsFound: [], importsUnderWay: [] },
  };
  const collection = {
    ...{ id: 7n, dbName: "default", name: "a", vchannels: [A, B], pchannels: ["p_0", "p_1"] },
    startOffsets: new Map([["p_0", 3n], ["p_1", 4n]]),
  };
  let saves = 0;
  const targets = {
    state: () => own,
    live: () => isLive ? collection : undefined,
    // Another collection lives on the first channel.
    catalog: { collections: [{ pchannels: ["p_0"] }, ...isLive ? [collection] : []] },
    truncate: () => Promise.resolve(void did.push("truncate")),
    dropPartition: (_id: bigint, partition: bigint) => Promise.resolve(void did.push(`partition ${partition}`)),
    dropCollection: () => Promise.resolve(void did.push("drop")),
  };
  const waits = new Waits(Date.now, 0);
  const meta = { snapshot: () => Promise.resolve({ segments: [] }) };
  const deps = { waits, meta, report: { info: () => {} } };
  const applied = () => {};
  const state = { positions: new Map(), vchannels: new Map() } as unknown as RowTailOptions["state"];
  const options = {
    deps,
    targets,
    state,
    save: () => Promise.resolve(void saves++),
    applied,
  } as unknown as RowTailOptions;
  const ddl = new RowDdl(options, new Barriers(), (vchannel) => starts[vchannel] ?? 0n, () => Promise.resolve());
  const arrive = (vchannel: string, event: DdlEvent) => ddl.apply({ vchannel, collectionId: 7n }, event);
  return { arrive, ddl, did, own, state, waits, saves: () => saves };
}

function copy(operation: DdlOperation, ts: bigint, id: bigint | undefined, generation: 1 | 2 = 2): DdlEvent {
  const broadcast = id === undefined ? {} : { broadcast: { id, vchannels: ["p_0_vcchan", A, B] } };
  const about = { collectionId: 7n, partitionIds: [70n], partitionName: "x" };
  return { operation, ts, generation, ...about, ...broadcast } as unknown as DdlEvent;
}

/** Whether a promise has resolved by now. */
async function isDone(promise: Promise<unknown>): Promise<boolean> {
  let done = false;
  promise.then(() => done = true);
  await new Promise((resolve) => setTimeout(resolve, 0));
  return done;
}

for (const operation of ["truncate_collection", "drop_partition", "drop_collection"] as const) {
  Deno.test(`RowDdl applies a ${operation} once its broadcast has reached every channel, whatever their time ticks`, async () => {
    // Channel B begins between the two copies: by the other's timestamp it would seem to have passed it.
    const { arrive, did } = setup({ [B]: 105n });
    const first = arrive(A, copy(operation, 100n, 9n));
    assert.equal(await isDone(first), false);
    assert.deepEqual(did, []);
    await Promise.all([first, arrive(B, copy(operation, 110n, 9n))]);
    assert.equal(did.length, 1);
  });
}

Deno.test("RowDdl does not repeat a broadcast whose copy on another channel lies behind a checkpoint", async () => {
  const { arrive, did, own, saves } = setup();
  await Promise.all([A, B].map((vchannel, i) => arrive(vchannel, copy("truncate_collection", 100n + BigInt(i), 9n))));
  assert.deepEqual([did, own.broadcastsDone], [["truncate"], [9n]]);
  assert.equal(saves(), 1, "it is durable before a channel passes it");
  await arrive(B, copy("truncate_collection", 101n, 9n));
  assert.deepEqual(did, ["truncate"]);
  await Promise.all([A, B].map((vchannel) => arrive(vchannel, copy("truncate_collection", 200n, 10n))));
  assert.deepEqual([did.length, own.broadcastsDone], [2, [9n, 10n]]);
});

Deno.test("RowDdl notes with a broadcast that what was before its copies is not to come again", async () => {
  const { arrive, state } = setup();
  state.positions.set("p_0", { offset: 40n, tick: 90n });
  state.vchannels.set(B, { vchannel: B, pchannel: "p_1", collectionId: 7n, offset: 50n, ts: 80n, held: true });
  await Promise.all([A, B].map((vchannel, i) => arrive(vchannel, copy("truncate_collection", 100n + BigInt(i), 9n))));
  assert.deepEqual(
    [...state.vchannels.values()].map(({ vchannel, offset, ts, held }) => [vchannel, offset, ts, held]),
    [
      [B, 50n, 101n, true],
      [A, 40n, 100n, false],
    ],
  );
});

Deno.test("RowDdl notes with an import that what was applied before it is not to come again", async () => {
  const { ddl, own, state } = setup();
  state.positions.set("p_0", { offset: 40n, tick: 90n });
  const upTo = new Map([["p_0", 120n], ["p_1", 110n]]);
  const task = { id: 5n, collectionId: 7n, segmentIds: [], state: "completed", rows: 0n } as const;
  const load = (vchannel: string) =>
    ddl.load({ vchannel, collectionId: 7n }, {
      ...{ kind: "import", vchannel, ticket: undefined, task, upTo, from: new Map() },
    });
  await Promise.all([A, B].map(load));
  assert.deepEqual(own.importsDone, [5n]);
  // Where its channel has no position yet, the log of the collection begins at its start.
  assert.deepEqual(
    [...state.vchannels.values()].map(({ vchannel, offset, ts, held }) => [vchannel, offset, ts, held]),
    [
      [A, 40n, 120n, false],
      [B, 4n, 110n, false],
    ],
  );
});

Deno.test("RowDdl takes a copy of generation 1 for passed by a channel that begins behind its timestamp", async () => {
  const { arrive, did } = setup({ [B]: 100n });
  await arrive(A, copy("drop_partition", 100n, undefined, 1));
  assert.deepEqual(did, ["partition 70"]);
});

Deno.test("RowDdl shows a channel that stands before a change, with those that have not reached it", async () => {
  const { arrive, waits } = setup();
  const first = arrive(A, copy("drop_partition", 5n, undefined));
  await eventually("it is shown", () => waits.list().length > 0);
  const [{ component, collection, reason, aside }] = waits.list() as [ReturnType<typeof waits.list>[number]];
  assert.deepEqual([component, collection, aside], ["sources.log", "default.a", true]);
  assert.equal(reason, `A drop partition waits until ${B} has reached it in the log`);
  await Promise.all([first, arrive(B, copy("drop_partition", 5n, undefined))]);
  assert.deepEqual(waits.list(), []);
});

/** What whoever waits on a channel is told when the log ends before the other channel's copy came. */
async function toldAtTheEnd({ ddl, arrive }: ReturnType<typeof setup>, at: string, event: DdlEvent): Promise<unknown> {
  ddl.announce({ kind: "ddl", vchannel: at, event } as unknown as Parameters<typeof ddl.announce>[0]);
  const waits = arrive(at, event).then(() => undefined, (error) => error);
  ddl.end(false);
  return await waits;
}

Deno.test("RowDdl holds a collection whose truncation has not reached every channel where a run ends, unless it is dropped", async () => {
  const truncation = copy("truncate_collection", 100n, 9n);
  assert.ok(await toldAtTheEnd(setup(), A, truncation) instanceof Held);
  // Nobody reads channel B any more, where nothing lives: the run's end drops the copy.
  assert.ok(await toldAtTheEnd(setup({}, false), A, truncation) instanceof Unfinished);
  // Channel A is read up to the end, and the truncation has not come on it: it was later.
  assert.ok(await toldAtTheEnd(setup({}, false), B, truncation) instanceof Held);
});

Deno.test("RowDdl knows a drop of before 2.6.5, which has no number and another tick on each channel, by what it drops", async () => {
  const { arrive, did, own } = setup();
  const first = arrive(A, copy("drop_partition", 100n, undefined));
  assert.equal(await isDone(first), false);
  await Promise.all([first, arrive(B, copy("drop_partition", 110n, undefined))]);
  assert.deepEqual([did, own.broadcastsDone], [["partition 70"], [70n]]);
  // Killed between two checkpoints: one channel brings it again, the other has passed it.
  await arrive(B, copy("drop_partition", 110n, undefined));
  assert.equal(did.length, 1);
  // A base that began in the middle of it: its channel's own copy comes behind the drop.
  const late = setup({ [B]: 105n });
  await late.arrive(A, copy("drop_partition", 100n, undefined));
  await late.arrive(B, copy("drop_partition", 110n, undefined));
  assert.deepEqual(late.did, ["partition 70"]);
});

Deno.test("refusalHint names try_evolve only where that policy can let a change pass", () => {
  assert.match(refusalHint("alter_collection", false), /transforms\.ddl\.policy to try_evolve/);
  for (const hint of [refusalHint("create_collection", false), refusalHint("create_index", true)]) {
    assert.doesNotMatch(hint, /try_evolve/);
    assert.match(hint, /transforms\.select\.exclude/);
  }
});
