/** A backup whose storage refuses in mid-run is held alone: the target goes on, and nothing is claimed that is not there. */
import assert from "node:assert/strict";
import fc from "fast-check";
import type { SinkState } from "../../../../pipeline/flow/mod.ts";
import { TidemarkError } from "../../../../pipeline/errors.ts";
import type { ArchiveSink, HybridTs, ObjectStore } from "../../../../pipeline/model/mod.ts";
import type { Waits } from "../../../../pipeline/waits.ts";
import { backupSinkSpec, createBackupSink } from "../../../../sinks/backup/mod.ts";
import { createArchiveLog, openBackupSource } from "../../../../sources/backup/mod.ts";
import { createMemoryStore, withRetry } from "../../../../stores/mod.ts";
import { FakePipeline, type FakePipelineOptions, type FakeRun, until } from "../../../fakes/pipeline.ts";
import { RefusingStore } from "../../../fakes/refusing_store.ts";
import { restoreFake } from "../../../fakes/restore.ts";
import { FakeRowSink } from "../../../fakes/row_sink.ts";
import { FakeSource } from "../../../fakes/source.ts";

const PCHANNELS = ["p_0", "p_1"];

function setup(options: Omit<FakePipelineOptions, "rows" | "vaults"> = {}) {
  const source = new FakeSource(PCHANNELS);
  const replica = new FakeRowSink("replica");
  const vault = new RefusingStore(createMemoryStore());
  const pipeline = new FakePipeline(source, {
    rows: [replica],
    vaults: { vault: vault.store },
    limits: { heldAgainMs: 2 },
    ...options,
  });
  source.create("a", ...PCHANNELS);
  return { source, replica, vault, pipeline };
}

const sinkOf = (run: FakeRun, sink = "vault") => run.status().sinks.find(({ name }) => name === sink);

/** Up to a moment of all channels. */
function caughtUp(pipeline: FakePipeline, ts: HybridTs): Promise<void> {
  return until(
    "it has caught up",
    () => PCHANNELS.every((name) => (pipeline.saved("vault")!.positions.get(name)?.tick ?? 0n) >= ts),
  );
}

interface Moment {
  readonly ts: HybridTs;
  readonly rows: Map<string, Map<bigint, bigint>>;
}

/**
 * The last moment that the backup claims; those of the last few of `past` that it claims are restored as they were, and the
 * state says no more than what is there.
 */
async function claims(
  source: FakeSource,
  { inner }: RefusingStore,
  past: readonly Moment[],
  state?: SinkState,
): Promise<HybridTs> {
  const log = createArchiveLog({ store: inner, name: "b", queue: source.log.queue });
  for (const [pchannel, { offset }] of state?.positions ?? []) {
    const { latest } = await log.bounds(pchannel, new AbortController().signal);
    assert.ok(offset <= latest, `${pchannel} is said to be at ${offset}, and archived up to ${latest}`);
  }
  const to = (await openBackupSource(inner, "b")).restorable?.to.ts ?? 0n;
  for (const { ts, rows } of past.filter(({ ts }) => ts <= to).slice(-3)) {
    assert.deepEqual(await restoreFake(source, inner, ts), rows, `at ${ts}, claimed to ${to}`);
  }
  return to;
}

Deno.test("a backup whose keys are refused in mid-run is held alone, and comes back to where it stopped when they are mended", async () => {
  const { source, replica, vault, pipeline } = setup({ limits: { heldAgainMs: 2, inFlightBytes: 4000 } });
  await pipeline.once();
  using _ticking = source.ticking();
  const run = pipeline.start();
  const past: Moment[] = [];
  let key = 0n;
  const write = (times: number) => {
    for (let i = 0; i < times; i++) {
      source.insert("a", [key, key++]);
      source.tick();
      past.push({ ts: source.now, rows: structuredClone(source.rows) });
    }
  };
  const onTarget = () => replica.rows.get("a")?.size === source.rows.get("a")!.size;
  write(20);
  await until("the target has them", onTarget);
  vault.refuse();
  await until("the backup is held", () => sinkOf(run)?.state === "held");
  const stopped = pipeline.saved("vault")!.positions;
  write(100);
  await until("the target goes on", onTarget);
  await until("it was opened again in vain", () => vault.refused > 5);
  assert.deepEqual(sinkOf(run), { name: "vault", state: "held", reason: "The keys are refused" });
  assert.equal(sinkOf(run, "replica")!.state, "ok");
  assert.equal(run.status().phase, "tail");
  assert.match(pipeline.warnings.join("\n"), /backup vault is held, all else goes on: The keys are refused\. Give it/);
  await until("all credit is back", () => run.status().inFlightBytes < 1000);
  assert.deepEqual(pipeline.saved("vault")!.positions, stopped, "its positions stay where it stopped");
  assert.ok(await claims(source, vault, past, pipeline.saved("vault")) < past.at(-1)!.ts);
  vault.mend();
  await until("it comes back", () => sinkOf(run)?.state === "ok");
  write(20);
  const last = past.at(-1)!.ts;
  await caughtUp(pipeline, last);
  await until("the target went on meanwhile", onTarget);
  await run.stop();
  assert.deepEqual((await run.result.catch(() => undefined))?.held ?? [], []);
  assert.deepEqual(replica.rows, source.rows);
  assert.ok(await claims(source, vault, past) >= last);
});

/** A backup's store that tries again for as long as it takes, and says in `pipeline.waits` what it waits for. */
function patient(store: ObjectStore, waits: () => Waits): ObjectStore {
  let wait: Disposable | undefined;
  const onState = (error: TidemarkError | undefined) => {
    wait?.[Symbol.dispose]();
    wait = error === undefined ? undefined : waits().begin({ component: "sinks.vault" }, error.message);
  };
  return withRetry(store, { persistent: true, slowMs: 5, onState });
}

for (const deaf of [false, true]) {
  const how = deaf ? "does not even end what is aborted" : "does not answer";
  Deno.test(`a backup whose storage ${how} is held alone as one that refuses, and comes back when it answers`, async () => {
    const source = new FakeSource(PCHANNELS);
    const replica = new FakeRowSink("replica");
    const vault = new RefusingStore(createMemoryStore());
    const limits = { heldAgainMs: 2, heldAfterMs: 40, inFlightBytes: 4000 };
    const pipeline: FakePipeline = new FakePipeline(source, {
      rows: [replica],
      vaults: { vault: patient(vault.store, () => pipeline.waits) },
      limits,
    });
    source.create("a", ...PCHANNELS);
    await pipeline.once();
    using _ticking = source.ticking();
    const run = pipeline.start();
    const past: Moment[] = [];
    const write = (times: number) => {
      for (let i = 0; i < times; i++) {
        source.insert("a", [BigInt(past.length), 1n]);
        source.tick();
        past.push({ ts: source.now, rows: structuredClone(source.rows) });
      }
    };
    const onTarget = () => replica.rows.get("a")?.size === source.rows.get("a")!.size;
    write(20);
    await until("the target has them", onTarget);
    vault.hang({ deaf });
    await until("a request gets no answer", () => vault.hung > 0);
    write(100);
    await until("the backup is held", () => sinkOf(run)?.state === "held");
    assert.match(sinkOf(run)!.reason, /^Its storage does not answer: .* has not answered for /);
    await until("the target goes on", onTarget);
    assert.equal(run.status().phase, "tail", "a held backup that is asked again is no wait of the run");
    vault.mend();
    await until("it comes back", () => sinkOf(run)?.state === "ok");
    write(20);
    const last = past.at(-1)!.ts;
    await caughtUp(pipeline, last);
    await run.stop();
    assert.deepEqual(replica.rows, source.rows);
    assert.ok(await claims(source, vault, past) >= last);
  });
}

Deno.test("a run that begins while the storage of its backup cannot be reached goes on with its other sinks", async () => {
  const { source, replica, vault, pipeline } = setup();
  await pipeline.once();
  source.insert("a", [1n, 1n]);
  source.tick();
  vault.refuse(0, { as: new TidemarkError("unreachable", "Nobody answers") });
  assert.deepEqual((await pipeline.once()).held, [{ sink: "vault", reason: "Nobody answers" }]);
  assert.deepEqual(replica.rows, source.rows);
});

Deno.test("a run that ends says what is held, and the next one brings what it lacks", async () => {
  const { source, replica, vault, pipeline } = setup();
  await pipeline.once();
  for (let i = 0n; i < 20n; i++) {
    source.insert("a", [i, i]);
    source.tick();
  }
  const past = [{ ts: source.now, rows: structuredClone(source.rows) }];
  for (const after of [0, 3, 6]) {
    vault.refuse(after);
    const { held } = await pipeline.once();
    assert.deepEqual(held, [{ sink: "vault", reason: "The keys are refused" }], `after ${after} requests`);
    assert.deepEqual(replica.rows, source.rows);
    assert.ok(await claims(source, vault, past) < past[0]!.ts);
    vault.mend();
  }
  assert.deepEqual((await pipeline.once()).held, []);
  assert.ok(await claims(source, vault, past) >= past[0]!.ts);
});

Deno.test("a backup that no run has opened yet, and one without another sink, end the run when they are refused", async () => {
  const { source, vault, pipeline } = setup();
  vault.refuse();
  await assert.rejects(pipeline.once(), /The keys are refused/);
  vault.mend();
  const alone = new FakePipeline(source, { vaults: { vault: vault.store } });
  await alone.once();
  using _ticking = source.ticking();
  const run = alone.start();
  await until("it follows", () => run.status().phase === "tail");
  vault.refuse();
  await assert.rejects(run.result, /The keys are refused/);
});

Deno.test("one of two backups that is refused is held, the other one goes on; if that is refused, too, the run ends", async () => {
  const { source, vault } = setup();
  const other = new RefusingStore(createMemoryStore());
  const pipeline = new FakePipeline(source, { vaults: { vault: vault.store, other: other.store } });
  await pipeline.once();
  using _ticking = source.ticking();
  const run = pipeline.start();
  vault.refuse();
  await until("one is held", () => sinkOf(run)?.state === "held");
  source.insert("a", [1n, 1n]);
  source.tick();
  const past = [{ ts: source.now, rows: structuredClone(source.rows) }];
  await until(
    "the other one has it",
    () => PCHANNELS.every((name) => pipeline.saved("other")!.positions.get(name)!.tick >= past[0]!.ts),
  );
  assert.ok(await claims(source, other, past) >= past[0]!.ts);
  other.refuse();
  await assert.rejects(run.result, /The keys are refused/);
});

/** Each of its appends closes a file, so that the storage is asked all the time. */
function restless({ log: { queue } }: FakeSource, { store }: RefusingStore): ArchiveSink {
  const storage = { type: "file", path: "/" };
  const { type: _type, storage: _storage, ...config } = backupSinkSpec.parse({ type: "backup", name: "b", storage });
  const roll = { ...config.roll, size: 1 };
  return createBackupSink({ ...config, roll }, { name: "vault", store, pipeline: "test", program: "test", queue });
}

const keys = fc.array(fc.nat(7), { minLength: 1, maxLength: 3 }).map((some) => [...new Set(some)].map(BigInt));
const step: fc.Arbitrary<(source: FakeSource) => void> = fc.oneof(
  {
    weight: 5,
    arbitrary: fc.tuple(keys, fc.nat(9)).map(([some, value]) => (source: FakeSource) => {
      source.delete("a", ...some);
      source.insert("a", ...some.map((key) => [key, BigInt(value)] as const));
    }),
  },
  { weight: 1, arbitrary: fc.constant((source: FakeSource) => source.truncate("a")) },
  { weight: 1, arbitrary: fc.constant((source: FakeSource) => void source.create(`more${source.now}`, "p_1")) },
);

Deno.test("no moment is claimed that is not whole, wherever the storage refuses and the run is killed; the target stays exact", async () => {
  const life = fc.record({
    steps: fc.array(step, { minLength: 1, maxLength: 5 }),
    /** Requests until the keys are refused, and whether the first refused one is done all the same. */
    after: fc.nat(30),
    done: fc.boolean(),
    /** Requests that are refused before they are mended, and requests from then on until the run is killed. */
    mended: fc.nat(12),
    more: fc.nat(30),
  });
  let helds = 0;
  await fc.assert(
    fc.asyncProperty(fc.array(life, { minLength: 1, maxLength: 3 }), async (lives) => {
      const { source, replica, vault, pipeline } = setup();
      pipeline.override = { archives: [restless(source, vault)] };
      await pipeline.once();
      const past: Moment[] = [];
      for (const { steps, after, done, mended, more } of lives) {
        const run = pipeline.start();
        {
          using _ticking = source.ticking();
          vault.refuse(after, { done });
          vault.refused = 0;
          for (const take of steps) {
            take(source);
            source.tick();
            past.push({ ts: source.now, rows: structuredClone(source.rows) });
          }
          await until("the keys are refused", () => vault.refused > mended);
          helds++;
          await until("the target has all", () => {
            try {
              assert.deepEqual(replica.rows, source.rows);
              return true;
            } catch {
              return false;
            }
          });
          await claims(source, vault, past, pipeline.saved("vault"));
          vault.refuse(more);
          await until("it is refused again", () => vault.refused > mended + 1);
        }
        await run.kill();
        vault.mend();
        await claims(source, vault, past, pipeline.saved("vault"));
      }
      await pipeline.once();
      assert.deepEqual(replica.rows, source.rows);
      assert.ok(await claims(source, vault, past) >= past.at(-1)!.ts);
    }),
    { numRuns: 5 },
  );
  assert.ok(helds >= 5);
});
