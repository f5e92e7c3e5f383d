/** An archive whose log's retention passed what it would read again, or more. */
import assert from "node:assert/strict";
import { TidemarkError } from "../../../../pipeline/errors.ts";
import { verifyBackup } from "../../../../sources/backup/mod.ts";
import { createMemoryStore, lastLogFile } from "../../../../stores/mod.ts";
import { FakePipeline } from "../../../fakes/pipeline.ts";
import { restoreFake } from "../../../fakes/restore.ts";
import { FakeSource } from "../../../fakes/source.ts";

async function archived() {
  const source = new FakeSource();
  const vault = createMemoryStore();
  const pipeline = new FakePipeline(source, { vaults: { vault } });
  source.create("a", "p_0");
  source.create("b", "p_0");
  const past: { ts: bigint; rows: FakeSource["rows"] }[] = [];
  let key = 0n;
  const write = () => {
    for (let i = 0; i < 3; i++, key++) {
      source.insert("a", [key, key]);
      source.tick();
      source.insert("b", [key, key]);
      past.push({ ts: source.now, rows: structuredClone(source.rows) });
    }
    source.delete("a", key - 1n);
    source.tick();
    past.push({ ts: source.now, rows: structuredClone(source.rows) });
  };
  await pipeline.once();
  write();
  await pipeline.once();
  const { facts } = (await lastLogFile(vault, "b", "p_0"))!;
  assert.ok(facts.resume.offset <= facts.lastOffset, "it would read a record that it has");
  write();
  return { source, vault, pipeline, past, facts };
}

Deno.test("run goes on behind what is archived where the log has lost no more than that", async () => {
  const { source, vault, pipeline, past, facts } = await archived();
  source.log.deleteRecords("p_0", facts.lastOffset + 1n);
  await pipeline.once();
  const after = (await lastLogFile(vault, "b", "p_0"))!.facts;
  assert.equal(after.sequence, facts.sequence + 1n);
  assert.equal(after.previousLastOffset, facts.lastOffset);
  assert.deepEqual(after.gaps, []);
  for (const { ts, rows } of past) assert.deepEqual(await restoreFake(source, vault, ts), rows, `at ${ts}`);
  assert.deepEqual((await verifyBackup(vault, "b")).findings, []);
  // And once more, from where that run was.
  source.log.deleteRecords("p_0", after.lastOffset + 1n);
  source.insert("a", [90n, 90n]);
  const { upTo } = await pipeline.once();
  assert.deepEqual(await restoreFake(source, vault, upTo), source.rows);
});

Deno.test("run goes on behind an archived record that waited for a later tick, and restores it", async () => {
  const { source, vault, pipeline } = await archived();
  await pipeline.once();
  const { id } = source.collections.find(({ name }) => name === "a")!;
  const ts = source.now + (1n << 18n) + 5n;
  const early = { kind: "insert", collection: `${id}`, rows: [["70", "70"]], ts: `${ts}` };
  const offset = source.log.append("p_0", [{ value: new TextEncoder().encode(JSON.stringify(early)) }]);
  source.rows.get("a")!.set(70n, 70n);
  source.tick();
  await pipeline.start({ kind: "until", ts: source.now }).result;
  const { facts } = (await lastLogFile(vault, "b", "p_0"))!;
  assert.deepEqual([facts.resume, facts.lastOffset], [{ offset, tick: source.now }, offset + 1n]);
  source.log.deleteRecords("p_0", facts.lastOffset + 1n);
  source.insert("a", [71n, 71n]);
  const { upTo } = await pipeline.once();
  assert.deepEqual(await restoreFake(source, vault, upTo), source.rows);
  const before = new Map(source.rows).set("a", new Map(source.rows.get("a")));
  assert.deepEqual(await restoreFake(source, vault, ts), before);
  before.get("a")!.delete(70n);
  assert.deepEqual(await restoreFake(source, vault, ts - 1n), before);
});

Deno.test("run ends where the log has lost a record behind what is archived", async () => {
  const { source, vault, pipeline, facts } = await archived();
  source.log.deleteRecords("p_0", facts.lastOffset + 2n);
  await assert.rejects(pipeline.once(), (error: TidemarkError) => error.code === "position_lost");
  assert.equal((await lastLogFile(vault, "b", "p_0"))!.facts.sequence, facts.sequence);
});

Deno.test("run ends where the topic was made anew, whatever offsets it has", async () => {
  const { source, pipeline, facts } = await archived();
  const { log } = source;
  pipeline.override = {
    log: {
      ...log,
      topics: (signal) => log.topics(signal),
      check: (signal) => log.check(signal),
      close: () => log.close(),
      tail: (...args) => log.tail(...args),
      bounds: async (topic, signal) => ({
        ...await log.bounds(topic, signal),
        earliest: facts.lastOffset + 1n,
        topicId: "another",
      }),
    },
  };
  await assert.rejects(pipeline.once(), (error: TidemarkError) => error.code === "position_lost");
});
