import assert from "node:assert/strict";
import { type TidemarkError, toTidemarkError } from "../../../pipeline/errors.ts";
import type { HybridTs } from "../../../pipeline/model/mod.ts";
import {
  type ArchiveReport,
  type BackupSource,
  checkMoment,
  openBackupSource,
  restorableRange,
  showBackup,
} from "../../../sources/backup/mod.ts";
import { createMemoryStore } from "../../../stores/mod.ts";
import { FakePipeline, until } from "../../fakes/pipeline.ts";
import { restoreFake } from "../../fakes/restore.ts";
import { FakeSource } from "../../fakes/source.ts";
import { catalog, collection, historyOf } from "./sample_catalog.ts";

const never = new AbortController().signal;
/** A minute and more ahead of the clock of the fake source. */
const RUN_AT = 1_795_000_100_000;

/** A source that remembers what its rows were. */
function setup() {
  const source = new FakeSource();
  const vault = createMemoryStore();
  const pipeline = new FakePipeline(source, { vaults: { vault } });
  const began = performance.now();
  pipeline.override = { now: () => RUN_AT + Math.floor(performance.now() - began) };
  const past: { ts: HybridTs; rows: Map<string, Map<bigint, bigint>> }[] = [];
  const remember = () => {
    past.push({ ts: source.now, rows: structuredClone(source.rows) });
  };
  return { source, vault, pipeline, past, remember };
}

function isOffered(source: BackupSource, ts: HybridTs): boolean {
  try {
    checkMoment(source, ts);
    return true;
  } catch (error) {
    assert.equal((error as TidemarkError).code, "usage");
    return false;
  }
}

for (
  const [what, offered, end] of [
    ["by a run that ends", 13, (all) => all.pipeline.once().then(({ upTo }) => upTo)],
    ["by a run that follows", 12, follow],
    ["by nobody, for the log has lost it", 1, async ({ source, pipeline }) => {
      source.log.deleteRecords("p_1", (await source.log.bounds("p_1", never)).latest);
      return (await pipeline.once()).upTo;
    }],
  ] as [string, number, (all: ReturnType<typeof setup>) => Promise<HybridTs | undefined>][]
) {
  Deno.test(`showBackup offers the moments that a restore takes, each of them exact; the end of a channel is found ${what}`, async () => {
    const all = setup();
    const { source, vault, pipeline, past, remember } = all;
    source.create("stays", "p_0");
    source.create("goes", "p_1");
    await pipeline.once();
    for (let i = 0n; i < 6n; i++) {
      source.insert("stays", [i, i]);
      source.insert("goes", [i, i]);
      source.tick();
      remember();
    }
    // After the last tick of p_1: nobody archives it any more.
    source.insert("goes", [100n, 100n]);
    remember();
    const between = source.now;
    source.drop("goes");
    for (let i = 6n; i < 12n; i++) {
      remember();
      source.insert("stays", [i, i]);
      source.tick();
    }
    const upTo = await end(all);
    if (upTo !== undefined) past.push({ ts: upTo, rows: source.rows });
    const { restorable } = await showBackup(vault, "b");
    if (upTo !== undefined) assert.equal(restorable?.to.ts, upTo);
    assert.ok(restorable!.to.ts >= past.at(-1)!.ts);
    assert.equal(restorable!.gaps.length, 1);
    const opened = await openBackupSource(vault, "b");
    assert.equal(isOffered(opened, between), false, "a row may be missing there");
    const restored: HybridTs[] = [];
    for (const { ts, rows } of past) {
      const got = await restoreFake(source, vault, ts).catch(toTidemarkError);
      if (isOffered(opened, ts)) {
        assert.deepEqual(got, rows, `at ${ts}`);
        restored.push(ts);
      } else assert.equal((got as TidemarkError).code, "position_lost", `at ${ts}`);
    }
    assert.equal(restored.length, offered, `restored to ${restored}`);
  });
}

/** Until the archive has what the source has now. */
async function follow({ source, pipeline }: ReturnType<typeof setup>): Promise<undefined> {
  const { now } = source;
  using _ticking = source.ticking();
  const run = pipeline.start();
  await until("the archive has it", () => (pipeline.saved("vault")?.positions.get("p_0")?.tick ?? 0n) > now);
  await run.stop();
}

function report(reach: Record<string, bigint>): ArchiveReport {
  const pchannels = Object.entries(reach).map(([pchannel, until]) => ({
    pchannel,
    files: 1,
    bytes: 1n,
    firstOffset: 0n,
    lastOffset: 1n,
    until,
  }));
  return { pchannels, findings: [], until: undefined };
}

Deno.test("restorableRange ends with the pchannel that reaches least, of those that a collection is on", () => {
  const all = catalog(collection(1n), collection(2n));
  const both = historyOf(all, []);
  assert.equal(restorableRange(50n, report({ p1: 100n, p2: 90n }), both)?.to.ts, 90n);
  // Its last collection was dropped at 80: nothing ticks there any more.
  const dropped = historyOf(all, [{ revision: 2n, ts: 80n, catalog: catalog(collection(1n)) }]);
  assert.equal(restorableRange(50n, report({ p1: 100n, p2: 79n }), dropped)?.to.ts, 100n);
  assert.equal(restorableRange(101n, report({ p1: 100n }), dropped), undefined);
  // A pchannel of the base without any archive.
  assert.equal(restorableRange(50n, report({ p1: 100n }), both), undefined);
});

const spans = (range: ReturnType<typeof restorableRange>) =>
  range?.gaps.map(({ from, to, collections }) => [from.ts, to.ts, ...collections]);

Deno.test("restorableRange leaves out what lies between the end of a dropped collection's log and the note of its drop", () => {
  const both = catalog(collection(1n), collection(2n));
  const history = historyOf(both, [{ revision: 2n, ts: 90n, catalog: catalog(collection(1n)) }]);
  const range = restorableRange(50n, report({ p1: 100n, p2: 79n }), history);
  assert.deepEqual([range?.from.ts, range?.to.ts], [50n, 100n]);
  assert.deepEqual(spans(range), [[80n, 89n, `${collection(2n).dbName}.c2`]]);
  // The log reaches the note.
  assert.deepEqual(spans(restorableRange(50n, report({ p1: 100n, p2: 89n }), history)), []);
  // The log says when it was dropped.
  const told = historyOf(both, history.notes, new Map([[2n, 83n]]));
  assert.deepEqual(spans(restorableRange(50n, report({ p1: 100n, p2: 79n }), told)), [
    [80n, 82n, `${collection(2n).dbName}.c2`],
  ]);
  // Nothing is there before the note, or nothing behind the log's end.
  assert.deepEqual(restorableRange(85n, report({ p1: 100n, p2: 79n }), history)?.from.ts, 90n);
  assert.deepEqual(restorableRange(50n, report({ p1: 89n, p2: 79n }), history)?.to.ts, 79n);
  // Made again there, and dropped again.
  const again = collection(92n, { pchannels: ["p2"] });
  const more = historyOf(
    both,
    [
      ...history.notes,
      { revision: 3n, ts: 94n, catalog: catalog(collection(1n), again) },
      { revision: 4n, ts: 97n, catalog: catalog(collection(1n)) },
    ],
  );
  const { dbName } = again;
  assert.deepEqual(spans(restorableRange(50n, report({ p1: 100n, p2: 79n }), more)), [
    [80n, 89n, `${dbName}.c2`],
    [92n, 96n, `${dbName}.c92`],
  ]);
  // The other pchannel's end lies in the gap of the first.
  assert.deepEqual(spans(restorableRange(50n, report({ p1: 85n, p2: 79n, p3: 100n }), history)), []);
  assert.equal(restorableRange(50n, report({ p1: 85n, p2: 79n, p3: 100n }), history)?.to.ts, 79n);
});

Deno.test("restorableRange ends before a new collection whose log the archive does not have", () => {
  const notes = [{ revision: 2n, ts: 95n, catalog: catalog(collection(1n), collection(91n)) }];
  const range = restorableRange(50n, report({ p1: 100n }), historyOf(catalog(collection(1n)), notes));
  assert.deepEqual([range?.from.ts, range?.to.ts, spans(range)], [50n, 90n, []]);
});

Deno.test("restorableRange leaves out what lies behind the end of a log before the drop, also where the note of it is by a clock behind", () => {
  const notes = [{ revision: 2n, ts: 60n, catalog: catalog(collection(1n)) }];
  const history = historyOf(catalog(collection(1n), collection(2n)), notes, new Map([[2n, 83n]]));
  assert.deepEqual(spans(restorableRange(50n, report({ p1: 100n, p2: 79n }), history)), [
    [80n, 82n, `${collection(2n).dbName}.c2`],
  ]);
});

Deno.test("restorableRange takes a collection for there whose name another one had only later", () => {
  const one = collection(2n);
  const made = collection(85n, { name: "next" });
  const history = historyOf(
    catalog(collection(1n), one),
    [
      { revision: 2n, ts: 87n, catalog: catalog(collection(1n), one, made) },
      { revision: 3n, ts: 90n, catalog: catalog(collection(1n), { ...made, name: one.name }) },
    ],
    new Map([[2n, 89n]]),
  );
  assert.deepEqual(spans(restorableRange(50n, report({ p1: 100n, p2: 79n, p85: 100n }), history)), [
    [80n, 88n, `${one.dbName}.c2`],
  ]);
});

Deno.test("checkMoment refuses a moment in a gap and says why", () => {
  const base = catalog(collection(1n), collection(2n));
  const notes = [{ revision: 2n, ts: 90n, catalog: catalog(collection(1n)) }];
  const restorable = restorableRange(50n, report({ p1: 100n, p2: 79n }), historyOf(base, notes));
  const source = { restorable, backup: { name: "b" } } as Parameters<typeof checkMoment>[0];
  for (const ts of [50n, 79n, 90n, 100n]) checkMoment(source, ts);
  for (const ts of [80n, 89n]) {
    assert.throws(() => checkMoment(source, ts), {
      code: "usage",
      message: /c2 ends before it/,
      hint: /before .* after/,
    });
  }
  for (const ts of [49n, 101n]) assert.throws(() => checkMoment(source, ts), { code: "usage", message: /not to/ });
});
