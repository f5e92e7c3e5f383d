import assert from "node:assert/strict";
import { TidemarkError } from "../../../../pipeline/errors.ts";
import type { LogRecord } from "../../../../pipeline/model/mod.ts";
import { woodpeckerPosition } from "../../../../pipeline/positions/mod.ts";
import { createWoodpeckerLog, type WoodpeckerNodes } from "../../../../sources/log/mod.ts";
import { FakeNode, nodesOf } from "../../../fakes/woodpecker_nodes.ts";
import { readNodes, readSample, type Sample, SAMPLES } from "./samples.ts";

/** Reads `body` with a source on the sample. */
async function withLog<T>(
  sample: Sample,
  body: (log: ReturnType<typeof createWoodpeckerLog>, signal: AbortSignal) => Promise<T>,
  nodes?: WoodpeckerNodes,
): Promise<T> {
  const logs = sample.logs();
  const stop = new AbortController();
  try {
    const { store, root } = sample;
    const isFolder = sample.storage === "local";
    return await body(
      createWoodpeckerLog({ store, root, isFolder, logs, nodes, pollMs: 1, idlePollMs: 1 }),
      stop.signal,
    );
  } finally {
    stop.abort();
    await logs.close();
  }
}

/** Everything from `from` to the end. */
async function readAll(
  log: ReturnType<typeof createWoodpeckerLog>,
  topic: string,
  from: bigint,
  signal: AbortSignal,
): Promise<LogRecord[]> {
  const found: LogRecord[] = [];
  for await (const { records, next, highWatermark } of log.tail(topic, from, undefined, signal)) {
    found.push(...records);
    if (records.length === 0 && next >= highWatermark) return found;
  }
  return found;
}

function shown({ offset, value, headers }: LogRecord): unknown {
  const text = new TextDecoder();
  const properties = Object.fromEntries(
    headers.map(([name, bytes]) => [name, text.decode(bytes)] as const).sort(([a], [b]) => a < b ? -1 : 1),
  );
  return { offset, payload: value!.toBase64(), properties };
}

const expectedOf = ({ expected }: Sample) =>
  expected.map(({ segment, entry, payload, properties }) => ({
    offset: woodpeckerPosition(segment, entry),
    payload: payload.toBase64(),
    properties: Object.fromEntries(Object.entries(properties).sort(([a], [b]) => a < b ? -1 : 1)),
  }));

/** Segments that only its nodes have. */
const SERVICE = "v0.1.37-service";

for (const name of SAMPLES.filter((name) => name !== SERVICE)) {
  Deno.test(`createWoodpeckerLog reads every message of ${name}, from its beginning and from every later one`, async () => {
    const sample = await readSample(name);
    const expected = expectedOf(sample);
    assert.ok(expected.length > 0);
    await withLog(sample, async (log, signal) => {
      const { earliest, latest } = await log.bounds(sample.log, signal);
      const all = (await readAll(log, sample.log, earliest, signal)).map(shown);
      assert.deepEqual(all, expected);
      assert.ok(latest > expected.at(-1)!.offset);
      for (let i = 0; i < expected.length; i += Math.max(1, Math.floor(expected.length / 25))) {
        const rest = await readAll(log, sample.log, expected[i]!.offset, signal);
        assert.deepEqual(rest.map(({ offset }) => offset), expected.slice(i).map(({ offset }) => offset));
      }
    });
  });
}

Deno.test(`createWoodpeckerLog reads what ${SERVICE} has in its bucket, and says that its servers are needed`, async () => {
  const sample = await readSample(SERVICE);
  const expected = expectedOf(sample).filter(({ offset }) => offset < woodpeckerPosition(4n, 0n));
  await withLog(sample, async (log, signal) => {
    await assert.rejects(
      log.bounds(sample.log, signal),
      (thrown) =>
        thrown instanceof TidemarkError && thrown.code === "config" &&
        /own servers .*not in a folder/.test(thrown.message),
    );
  });
  const nodes = (await readNodes(SERVICE)).map(({ address }) => new FakeNode(address));
  await withLog(sample, async (log, signal) => {
    const pages = log.tail(sample.log, 0n, undefined, signal)[Symbol.asyncIterator]();
    const found: LogRecord[] = [];
    while (found.length < expected.length) found.push(...(await pages.next()).value!.records);
    assert.deepEqual(found.map(shown), expected);
    assert.deepEqual(nodes.flatMap(({ calls }) => calls), []);
    await pages.return!();
  }, nodesOf(nodes));
});

Deno.test(`createWoodpeckerLog reads every message of ${SERVICE}: of the last segment what its servers have on their disks`, async () => {
  const sample = await readSample(SERVICE);
  const nodes = (await readNodes(SERVICE)).map(({ address, entries }) => {
    const node = new FakeNode(address);
    node.give(entries, 0n);
    node.acknowledged = BigInt(entries.length) - 1n;
    return node;
  });
  await withLog(sample, async (log, signal) => {
    assert.deepEqual((await readAll(log, sample.log, 0n, signal)).map(shown), expectedOf(sample));
  }, nodesOf(nodes));
});

Deno.test("createWoodpeckerLog reads a file of a segment that was not there yet when the segment was begun", async () => {
  const sample = await readSample("v0.1.13-local");
  const files: [string, Uint8Array][] = [];
  for await (const { key } of sample.store.list("")) {
    if (key.endsWith("/data.log")) files.push([key, await sample.store.get(key)]);
  }
  await sample.store.delete(files.map(([key]) => key));
  await withLog(sample, async (log, signal) => {
    const pages = log.tail(sample.log, 0n, undefined, signal)[Symbol.asyncIterator]();
    const found: LogRecord[] = [];
    let coming = pages.next();
    await new Promise((resolve) => setTimeout(resolve, 20));
    for (const [key, bytes] of files) await sample.store.put(key, bytes);
    for (const expected = expectedOf(sample); found.length < expected.length; coming = pages.next()) {
      found.push(...(await coming).value!.records);
    }
    assert.deepEqual(found.map(shown), expectedOf(sample));
    await coming.catch(() => {});
    await pages.return!();
  });
});

Deno.test("createWoodpeckerLog says of a segment that was removed that the position is lost", async () => {
  const sample = await readSample("v0.1.13-minio-completed");
  await withLog(sample, async (log, signal) => {
    await assert.rejects(
      readAll(log, sample.log, woodpeckerPosition(4n, 1n), signal),
      (thrown) =>
        thrown instanceof TidemarkError && thrown.code === "position_lost" && /36\/0 to .*4\/1/.test(thrown.message),
    );
  });
});
