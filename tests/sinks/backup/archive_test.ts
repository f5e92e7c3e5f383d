import { deepStrictEqual, rejects, strictEqual } from "node:assert/strict";
import fc from "fast-check";
import { TidemarkError } from "../../../pipeline/errors.ts";
import type { ArchivedRecord, ObjectStore } from "../../../pipeline/model/mod.ts";
import { createLogArchive, type LogArchive } from "../../../sinks/backup/archive.ts";
import { checkArchive, createArchiveLog } from "../../../sources/backup/mod.ts";
import { archiveKey, createMemoryStore, type MemoryStore } from "../../../stores/mod.ts";

const P = "by-dev-rootcoord-dml_0";
const T0 = 470597853918265344n;
const signal = new AbortController().signal;

/** The queue: records with holes in their offsets, as transaction markers leave them. */
function queue(gaps: readonly number[]): ArchivedRecord[] {
  let offset = 40n;
  return gaps.map((gap, i) => {
    offset += BigInt(gap);
    return {
      record: {
        topic: P,
        offset,
        timestampMs: BigInt(i),
        headers: [],
        value: new TextEncoder().encode(`value ${offset}`.repeat(1 + gap * 50)),
      },
      ts: T0 + BigInt(i),
      vchannel: "",
      type: "insert",
    };
  });
}

function open(store: ObjectStore, rollSize = 2000): LogArchive {
  return createLogArchive({
    passed: () => {},
    store,
    name: "b",
    queue: "kafka",
    roll: { size: rollSize, age: 1000, memory: 1 << 30 },
    createdBy: "test",
    startOffset: () => 41n,
    now: () => 0,
  });
}

/** Fails puts as `fails` says: not done, or done but the answer lost. */
function faulty(store: MemoryStore, fails: () => "no" | "before" | "after"): ObjectStore {
  return {
    ...store,
    async put(key, body, options, signal) {
      const fail = fails();
      if (fail === "before") throw new TidemarkError("unreachable", "no route");
      const info = await store.put(key, body, options, signal);
      if (fail === "after") throw new TidemarkError("unreachable", "the answer was lost");
      return info;
    },
  };
}

async function archived(store: ObjectStore): Promise<bigint[]> {
  const offsets: bigint[] = [];
  const log = createArchiveLog({ store, name: "b", queue: "kafka" });
  const { earliest } = await log.bounds(P, signal);
  for await (const { records } of log.tail(P, earliest, undefined, signal)) {
    for (const { offset, value } of records) {
      strictEqual(new TextDecoder().decode(value!).startsWith(`value ${offset}`), true);
      offsets.push(offset);
    }
  }
  return offsets;
}

const step = fc.oneof(
  { weight: 6, arbitrary: fc.record({ kind: fc.constant("append" as const), count: fc.integer({ min: 1, max: 8 }) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("kill" as const), count: fc.constant(0) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("flush" as const), count: fc.constant(0) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("roll" as const), count: fc.constant(0) }) },
);

Deno.test("createLogArchive holds every record once and in order, whatever kills and lost answers come between", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.integer({ min: 1, max: 3 }), { minLength: 5, maxLength: 60 }),
      fc.array(step, { minLength: 5, maxLength: 40 }),
      fc.array(fc.constantFrom("no", "no", "no", "before", "after") as fc.Arbitrary<"no" | "before" | "after">),
      async (gaps, steps, faults) => {
        const memory = createMemoryStore();
        const answers = [...faults];
        const store = faulty(memory, () => answers.shift() ?? "no");
        // The last one is only appended at the end.
        const records = queue([...gaps, 1]);
        let archive = open(store);
        await archive.progress(P, signal);
        let next = 0;
        for (const { kind, count } of steps) {
          try {
            if (kind === "append") {
              const batch = records.slice(next, Math.min(next + count, gaps.length));
              const last = batch.at(-1);
              if (last === undefined) continue;
              // The oldest entry still buffered lies before the last record.
              const resume = { offset: batch[0]!.record.offset, tick: last.ts };
              await archive.append(P, batch, resume, signal);
              next += batch.length;
            } else if (kind === "flush") await archive.flush(signal);
            else if (kind === "roll") await archive.rollDue(5000, signal);
            else {
              archive = open(store);
              const { resume } = await archive.progress(P, signal);
              const from = resume?.offset ?? 0n;
              next = records.findIndex(({ record }) => record.offset >= from);
            }
          } catch (error) {
            // The caller repeats what was not accepted.
            if (!(error instanceof TidemarkError && error.code === "unreachable")) throw error;
          }
        }
        answers.length = 0;
        await archive.append(
          P,
          records.slice(next),
          { offset: records.at(-1)!.record.offset, tick: T0 + 999n },
          signal,
        );
        await archive.flush(signal);
        deepStrictEqual(await archived(memory), records.map(({ record }) => record.offset));
        const cut = { vchannel: `${P}_1v0`, pchannel: P, collectionId: 1n, offset: 41n, ts: T0 };
        const { findings, until } = await checkArchive(memory, "b", { cuts: [cut] });
        deepStrictEqual([findings, until], [[], T0 + 999n]);
      },
    ),
    { numRuns: 200 },
  );
});

Deno.test("createLogArchive takes over nothing more while a finished file cannot be written", async () => {
  let down = false;
  const memory = createMemoryStore();
  const archive = open(faulty(memory, () => down ? "before" : "no"), 100);
  const records = queue([1, 1, 1, 1]);
  await archive.progress(P, signal);
  down = true;
  await rejects(archive.append(P, records.slice(0, 2), { offset: 42n, tick: T0 }, signal), { code: "unreachable" });
  await rejects(archive.append(P, records.slice(2), { offset: 44n, tick: T0 }, signal), { code: "unreachable" });
  strictEqual(archive.durable(P), undefined);
  down = false;
  await archive.append(P, records.slice(2), { offset: 44n, tick: T0 }, signal);
  await archive.flush(signal);
  deepStrictEqual(await archived(memory), [41n, 42n, 43n, 44n]);
});

Deno.test("createArchiveLog refuses positions outside the archive and another archive's identity", async () => {
  const memory = createMemoryStore();
  const archive = open(memory);
  await archive.append(P, queue([1, 1]), { offset: 43n, tick: T0 }, signal);
  await archive.flush(signal);
  const log = createArchiveLog({ store: memory, name: "b", queue: "kafka" });
  deepStrictEqual(await log.bounds(P, signal), { earliest: 41n, latest: 43n, topicId: `backup:b:${P}` });
  const first = async (offset: bigint, id?: string) => await Array.fromAsync(log.tail(P, offset, id, signal));
  deepStrictEqual(await first(43n), []);
  await rejects(first(44n), { code: "position_lost" });
  await rejects(first(40n), { code: "position_lost" });
  await rejects(first(41n, "another"), { code: "position_lost" });
  await rejects(log.bounds("unknown", signal), { code: "not_found" });
});

Deno.test("createArchiveLog stops where a file of the chain is missing", async () => {
  const memory = createMemoryStore();
  const archive = open(memory);
  for (const [i, record] of queue([1, 1, 1]).entries()) {
    await archive.append(P, [record], { offset: record.record.offset, tick: T0 + BigInt(i) }, signal);
    await archive.flush(signal);
  }
  await memory.delete([archiveKey("b", P, 2n)]);
  await rejects(archived(memory), { code: "damaged", message: /0000000003\.parquet follows 42/ });
});

Deno.test("checkArchive reads two footers where the numbers have no hole, all of them where they have", async () => {
  const memory = createMemoryStore();
  const archive = open(memory);
  const cut = { vchannel: `${P}_1v0`, pchannel: P, collectionId: 1n, offset: 41n, ts: T0 };
  for (const [i, record] of queue([1, 1, 1, 1, 1]).entries()) {
    if (i === 3) await archive.gap(P, { from: 40n, to: 41n, reason: "before the cut" });
    await archive.append(P, [record], { offset: record.record.offset, tick: T0 + BigInt(i) }, signal);
    await archive.flush(signal);
  }
  let reads = new Set<string>();
  const counting: ObjectStore = {
    ...memory,
    get: (key, range, signal) => (reads.add(key), memory.get(key, range, signal)),
  };
  const check = async (quick: boolean) => {
    reads = new Set();
    const { findings, until } = await checkArchive(counting, "b", { cuts: [cut], quick });
    return [findings.map(({ kind }) => kind), until, reads.size];
  };
  // The gap is known to the last file, so it is told, and looked for in all.
  deepStrictEqual(await check(true), [["gap"], T0 + 4n, 5]);
  await memory.delete([archiveKey("b", P, 4n), archiveKey("b", P, 5n)]);
  deepStrictEqual(await check(true), [[], T0 + 2n, 2]);
  deepStrictEqual(await check(false), [[], T0 + 2n, 3]);
  await memory.delete([archiveKey("b", P, 2n)]);
  deepStrictEqual(await check(true), [["lost"], T0, 2]);
});

Deno.test("createLogArchive does not go back with a log that is read again for another sink", async () => {
  const archive = open(createMemoryStore());
  const records = queue([1, 1, 1]);
  await archive.append(P, records, { offset: 42n, tick: T0 + 9n }, signal);
  await archive.append(P, records, { offset: 42n, tick: T0 + 5n }, signal);
  await archive.append(P, records.slice(0, 1), { offset: 41n, tick: T0 + 1n }, signal);
  await archive.flush(signal);
  deepStrictEqual(archive.durable(P), { offset: 42n, tick: T0 + 9n });
});
