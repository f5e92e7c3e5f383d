import assert from "node:assert/strict";
import type { HybridTs } from "../../../pipeline/model/mod.ts";
import {
  type ArchiveReport,
  checkMoment,
  openBackupSource,
  restorableRange,
  showBackup,
} from "../../../sources/backup/mod.ts";
import { createMemoryStore } from "../../../stores/mod.ts";
import { FakePipeline } from "../../fakes/pipeline.ts";
import { restoreFake } from "../../fakes/restore.ts";
import { FakeSource } from "../../fakes/source.ts";
import { catalog, collection } from "./sample_catalog.ts";

/** By the clock of the fake source, some seconds ahead of it. */
const RUN_AT = 1_795_000_100_000;

/** A source that remembers what its rows were. */
function setup() {
  const source = new FakeSource();
  const vault = createMemoryStore();
  const pipeline = new FakePipeline(source, { vaults: { vault } });
  pipeline.override = { now: () => RUN_AT };
  const past: { ts: HybridTs; rows: Map<string, Map<bigint, bigint>> }[] = [];
  const remember = () => {
    past.push({ ts: source.now, rows: structuredClone(source.rows) });
  };
  return { source, vault, pipeline, past, remember };
}

Deno.test("showBackup offers the moments that a restore takes, and each of them is exact", async () => {
  const { source, vault, pipeline, past, remember } = setup();
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
  source.drop("goes");
  for (let i = 6n; i < 12n; i++) {
    remember();
    source.insert("stays", [i, i]);
    source.tick();
  }
  const { upTo } = await pipeline.once();
  const { restorable } = await showBackup(vault, "b");
  assert.equal(restorable?.to.ts, upTo);
  const opened = await openBackupSource(vault, "b");
  let restored = 0;
  for (const { ts, rows } of past) {
    const offered = (() => {
      try {
        checkMoment(opened, ts);
        return true;
      } catch {
        return false;
      }
    })();
    const got = await restoreFake(source, vault, ts).catch((error: unknown) => error);
    if (offered) assert.deepEqual(got, rows, `at ${ts}`);
    else {assert.ok(
        got instanceof Error || ts > restorable!.to.ts,
        `${ts} is not offered and could be restored: ${Deno.inspect(got)}`,
      );}
    restored += offered ? 1 : 0;
  }
  assert.ok(restored >= 6, `${restored} moments`);
});

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
  const both = { base: catalog(collection(1n), collection(2n)), notes: [] };
  assert.equal(restorableRange(50n, report({ p1: 100n, p2: 90n }), both)?.to.ts, 90n);
  // Its last collection was dropped at 80: nothing ticks there any more.
  const dropped = { ...both, notes: [{ revision: 2n, ts: 80n, catalog: catalog(collection(1n)) }] };
  assert.equal(restorableRange(50n, report({ p1: 100n, p2: 79n }), dropped)?.to.ts, 100n);
  assert.equal(restorableRange(101n, report({ p1: 100n }), dropped), undefined);
  // A pchannel of the base without any archive.
  assert.equal(restorableRange(50n, report({ p1: 100n }), both), undefined);
});

const spans = (range: ReturnType<typeof restorableRange>) =>
  range?.gaps.map(({ from, to, collections }) => [from.ts, to.ts, ...collections]);

Deno.test("restorableRange leaves out what lies between the end of a dropped collection's log and the note of its drop", () => {
  const both = catalog(collection(1n), collection(2n));
  const history = { base: both, notes: [{ revision: 2n, ts: 90n, catalog: catalog(collection(1n)) }] };
  const range = restorableRange(50n, report({ p1: 100n, p2: 79n }), history);
  assert.deepEqual([range?.from.ts, range?.to.ts], [50n, 100n]);
  assert.deepEqual(spans(range), [[80n, 89n, `${collection(2n).dbName}.c2`]]);
  // The log reaches the note.
  assert.deepEqual(spans(restorableRange(50n, report({ p1: 100n, p2: 89n }), history)), []);
  // Nothing is there before the note, or nothing behind the log's end.
  assert.deepEqual(restorableRange(85n, report({ p1: 100n, p2: 79n }), history)?.from.ts, 90n);
  assert.deepEqual(restorableRange(50n, report({ p1: 89n, p2: 79n }), history)?.to.ts, 79n);
  // Made again there, and dropped again.
  const again = collection(92n, { pchannels: ["p2"] });
  const more = {
    base: both,
    notes: [
      ...history.notes,
      { revision: 3n, ts: 94n, catalog: catalog(collection(1n), again) },
      { revision: 4n, ts: 97n, catalog: catalog(collection(1n)) },
    ],
  };
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
  const range = restorableRange(50n, report({ p1: 100n }), { base: catalog(collection(1n)), notes });
  assert.deepEqual([range?.from.ts, range?.to.ts, spans(range)], [50n, 90n, []]);
});

Deno.test("checkMoment refuses a moment in a gap and says why", () => {
  const base = catalog(collection(1n), collection(2n));
  const notes = [{ revision: 2n, ts: 90n, catalog: catalog(collection(1n)) }];
  const restorable = restorableRange(50n, report({ p1: 100n, p2: 79n }), { base, notes });
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
