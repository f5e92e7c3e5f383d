import assert from "node:assert/strict";
import fc from "fast-check";
import { etaMs, renderStatus, renderStatusFoot, summarize } from "../../control/render_status.ts";
import { parseStatus } from "../../control/parse_status.ts";
import { displayWidth } from "../../control/table.ts";
import { formatJson, type Json, parseJson } from "../../pipeline/json.ts";
import { type CollectionStatus, hybridFromMs, type RunStatus } from "../../pipeline/model/mod.ts";

function collection(change: Partial<CollectionStatus> = {}): CollectionStatus {
  return {
    db: "sales",
    name: "items",
    target: "sales_dr.items",
    phase: "base",
    segmentsDone: 3,
    segmentsTotal: 10,
    rowsDone: 30_000n,
    rowsTotal: 100_000n,
    inserted: 0n,
    deleted: 0n,
    blockedReason: undefined,
    refusedRows: undefined,
    agreed: [],
    imports: undefined,
    ...change,
  };
}

function status(change: Partial<RunStatus> = {}): RunStatus {
  return {
    pipeline: "prod-to-dr",
    phase: "base",
    collections: [collection()],
    channels: [],
    sinks: [{ name: "replica", state: "ok", reason: "" }],
    bases: [],
    waits: [],
    lagMs: 0,
    rates: { rowsPerSec: 2000, bytesPerSec: 5 * 2 ** 20 },
    inFlightBytes: 0,
    inFlightLimitBytes: 2 ** 28,
    startedAt: "2026-11-21T11:00:00.000Z",
    checkpointAt: "2026-11-21T11:59:59.000Z",
    at: "2026-11-21T12:00:00.000Z",
    lastError: undefined,
    warnings: [],
    ...change,
  };
}

Deno.test("renderStatus shows a base copy with its rate and the time it will take", () => {
  assert.deepEqual(renderStatus(status(), 120), [
    "prod-to-dr: base, 30 000 of 100 000 rows (30 %), 2 000 rows/s, 5 MiB/s, about 35s left",
    "  collection                     state  segments            rows  inserted  deleted",
    "  sales.items -> sales_dr.items  base       3/10  30 000/100 000         0        0",
  ]);
});

Deno.test("renderStatus names a backup that is held, and why", () => {
  const sinks = [{ name: "vault", state: "held" as const, reason: "The keys\nare refused" }];
  assert.equal(renderStatus(status({ sinks }), 120).at(-1), "  held     vault: The keys are refused");
  assert.match(summarize(status({ sinks })), /; vault is held$/);
  const read = parseStatus(parseJson(formatJson(status({ sinks }) as unknown as Json), { bigint: "all" }));
  assert.deepEqual(read?.sinks, sinks);
});

Deno.test("renderStatus shows the tail with lag, channels, what waits and what is blocked", () => {
  const lines = renderStatus(
    status({
      phase: "tail",
      collections: [
        collection({ phase: "tail", target: "sales.items", rowsDone: 100_000n, inserted: 1234567n, deleted: 5n }),
        collection({
          name: "odd",
          phase: "blocked",
          target: "sales.odd",
          blockedReason: "Type 950 is not known:\n  it cannot be applied",
        }),
      ],
      channels: [{
        pchannel: "by-dev-rootcoord-dml_0",
        position: "470597784452279572",
        tick: 1n,
        lagMs: 250,
        recordsPerSec: 12.34,
        retention: { ms: 7_200_250, why: "" },
      }],
      waits: [{
        component: "sinks.replica",
        collection: "",
        reason: "dr:19530 does not answer",
        since: "2026-11-21T11:59:48.000Z",
        next: "",
      }, {
        component: "sources.log",
        collection: "sales.items",
        reason: "Its checkpoint is gone",
        since: "2026-11-21T11:59:00.000Z",
        next: "2026-11-21T12:00:03.000Z",
      }],
      lagMs: 250,
      rates: { rowsPerSec: 0, bytesPerSec: 0 },
      inFlightBytes: 3 * 2 ** 20,
      lastError: "something",
      warnings: ["a warning"],
    }),
    120,
  );
  // How the columns are aligned is the table's matter.
  assert.deepEqual(lines.map((line) => line.trim().replace(/ {2,}/g, "  ")), [
    "prod-to-dr: tail, lag 250ms, 3 MiB in flight",
    "collection  state  segments  rows  inserted  deleted",
    "sales.odd  blocked  3/10  30 000  0  0",
    "sales.items  tail  3/10  100 000  1 234 567  5",
    "blocked  sales.odd: Type 950 is not known: it cannot be applied",
    "channel  by-dev-rootcoord-dml_0 at 470597784452279572, lag 250ms, 12 records/s, in the log for 2h more",
    "waiting  sinks.replica: dr:19530 does not answer (for 12s)",
    "waiting  sales.items (sources.log): Its checkpoint is gone (for 1m, again in 3s)",
    "warning  a warning",
    "error  something",
  ]);
});

Deno.test("renderStatus never is wider than the screen nor longer than a screenful, whatever there is", () => {
  const name = fc.string({ unit: "grapheme", minLength: 1, maxLength: 80 });
  fc.assert(
    fc.property(fc.array(name, { maxLength: 60 }), fc.integer({ min: 20, max: 200 }), name, (names, width, reason) => {
      const collections = names.map((own) => collection({ name: own, blockedReason: reason, phase: "blocked" }));
      const lines = renderStatus(status({ collections, lastError: reason, warnings: [reason] }), width);
      for (const line of lines) assert.ok(displayWidth(line) <= width, line);
      assert.ok(lines.length <= 24, String(lines.length));
    }),
  );
});

Deno.test("renderStatus sums up what does not fit", () => {
  const lines = renderStatus(
    status({ collections: Array.from({ length: 200 }, (_, i) => collection({ name: `c${i}` })) }),
    120,
  );
  assert.ok(lines.includes("  and 188 more collections"));
});

Deno.test("summarize is one line", () => {
  const line = summarize(
    status({
      phase: "waiting",
      waits: [{ component: "sinks.replica", collection: "", reason: "rate\nlimit", since: "", next: "" }],
      collections: [collection({ phase: "blocked" })],
    }),
  );
  assert.ok(!line.includes("\n"));
  assert.match(line, /; 1 blocked; sinks.replica: rate limit$/);
});

Deno.test("etaMs is unknown where nothing moves and outside the base copy", () => {
  assert.equal(etaMs(status()), 35_000);
  assert.equal(etaMs(status({ rates: { rowsPerSec: 0, bytesPerSec: 0 } })), undefined);
  assert.equal(etaMs(status({ phase: "tail" })), undefined);
});

Deno.test("renderStatusFoot says what is safe on all channels", () => {
  const channels = [5, 3, 9].map((second) => ({
    pchannel: `p${second}`,
    position: "1",
    tick: hybridFromMs(Date.UTC(2026, 10, 21, 11, 59, second)),
    lagMs: 0,
    recordsPerSec: 0,
  }));
  assert.deepEqual(renderStatusFoot(status({ channels, collections: [] }), new Date("2026-11-21T12:00:00Z")), [
    "  started     2026-11-21T11:00:00.000Z (1h ago)",
    "  checkpoint  2026-11-21T11:59:59.000Z (1s ago)",
    "  complete to 2026-11-21T11:59:03.000Z on all channels",
  ]);
});

Deno.test("renderStatusFoot takes a channel on which nothing is written for as complete as the source's clock says that it is", () => {
  const channel = (iso: string, idleMs?: number) => ({
    pchannel: iso,
    position: "1",
    tick: hybridFromMs(Date.parse(`2026-11-21T${iso}Z`)),
    lagMs: 0,
    recordsPerSec: 0,
    idleMs,
  });
  const complete = (...channels: ReturnType<typeof channel>[]) =>
    renderStatusFoot(status({ channels, collections: [] }), new Date("2026-11-21T12:00:00Z"))[2]!.trim();
  assert.equal(
    complete(channel("11:40:00", 500), channel("11:59:58")),
    "complete to 2026-11-21T11:59:56.500Z on all channels",
  );
  // Three of them at their ends: each is complete to what the newest tick of all says.
  assert.equal(
    complete(channel("11:40:00", 500), channel("11:41:00", 2000), channel("11:59:58", 100)),
    "complete to 2026-11-21T11:59:55.000Z on all channels",
  );
  // No tick tells the time: this machine's clock does, with a margin.
  assert.equal(complete(channel("11:40:00", 500)), "complete to 2026-11-21T11:58:57.500Z on all channels");
  // Behind, not silent, or nobody looked, or a held sink has not all of it.
  assert.equal(
    complete(channel("11:40:00"), channel("11:59:58", 0)),
    "complete to 2026-11-21T11:40:00.000Z on all channels",
  );
});

Deno.test("renderStatusFoot says that something is held or still copied, which is not complete with the channels", () => {
  const channels = [{ pchannel: "p", position: "1", tick: hybridFromMs(1), lagMs: 0, recordsPerSec: 0 }];
  const foot = (...collections: RunStatus["collections"]) =>
    renderStatusFoot(status({ channels, collections }), new Date("2026-11-21T12:00:00Z"))[2]!.replace(/.*channels/, "");
  const going = collection({ phase: "tail" });
  const refusedRows = { held: 1, deadLetters: 0, keys: ["1"], reason: "long" };
  assert.equal(foot(going), "");
  assert.equal(foot(going, collection({ phase: "blocked" })), ", but for what is held");
  assert.equal(foot({ ...going, refusedRows }), ", but for what is held");
  assert.equal(foot(going, collection({ phase: "base" })), ", but for what is still copied");
});

Deno.test("parseStatus gives back what formatJson wrote, 64-bit values exact, however the integers were parsed", () => {
  const given = status({
    channels: [{
      pchannel: "p",
      position: "470597784452279572",
      tick: 470597784452279573n,
      lagMs: 1.5,
      recordsPerSec: 0.25,
      idleMs: 2.5,
    }],
    bases: [{ sink: "v", triedAt: "2026-11-21T11:58:00.000Z", goodAt: "", failures: 3, error: "e" }],
    warnings: ["w"],
  });
  for (const bigint of ["all", "unsafe"] as const) {
    assert.deepEqual(parseStatus(parseJson(formatJson(given), { bigint })), given);
  }
  assert.equal(parseStatus(null), undefined);
  assert.equal(parseStatus({})!.phase, "starting");
});

Deno.test("renderStatus shows how far the target's imports are, as long as they are under way", () => {
  const row = (done: number) =>
    renderStatus(status({ collections: [collection({ imports: { done, total: 5, percent: 40 } })] }), 120)[2]!;
  assert.match(row(2), /import 2\/5, 40 %/);
  assert.doesNotMatch(row(5), /import/);
});

Deno.test("renderStatus says how old the last good base is, and why those after it failed", () => {
  const bases = { sink: "vault", triedAt: "2026-11-21T11:58:00.000Z", goodAt: "2026-11-21T09:00:00.000Z" };
  const line = (change: { failures: number; error: string }) =>
    renderStatus(status({ phase: "tail", collections: [], bases: [{ ...bases, ...change }] }), 120).at(-1);
  assert.equal(line({ failures: 0, error: "" }), "  base     vault: last good 3h ago");
  assert.equal(
    line({ failures: 2, error: "the keys are refused" }),
    "  base     vault: last failed 2m ago, 2 since the last good one (3h ago): the keys are refused",
  );
});
