/** The log of a real Milvus 2.6.19 in its own bucket against what that server itself said of it by DumpMessages. */
import assert from "node:assert/strict";
import type { LogRecord } from "../../../../pipeline/model/mod.ts";
import { woodpeckerPosition, woodpeckerPositions } from "../../../../pipeline/positions/mod.ts";
import { createWoodpeckerLog, WoodpeckerLogs } from "../../../../sources/log/mod.ts";
import { createMemoryStore } from "../../../../stores/mod.ts";
import { EtcdKeys } from "../../../fakes/etcd_keys.ts";
import { readRecording } from "../../../stack/recorded/mod.ts";
import { readTarZst } from "../../../stack/recorded/tar.ts";

const NAME = "2.6.19-woodpecker-v1";

Deno.test("createWoodpeckerLog reads of a recorded server's log what the server itself dumps of it, and all between", async () => {
  const recording = readRecording(NAME);
  const keys = new EtcdKeys();
  for (const { changes } of recording.revisions) {
    for (const { key, value } of changes) value === undefined ? keys.delete(key) : keys.put(key, value);
  }
  const store = createMemoryStore();
  for (const [key, content] of recording.objects) await store.put(key, new Uint8Array(content));
  const logs = new WoodpeckerLogs(keys, WoodpeckerLogs.candidates("by-dev", undefined));
  const log = createWoodpeckerLog({ store, root: "files/wp", isFolder: false, logs, pollMs: 1, idlePollMs: 1 });
  const stop = new AbortController();
  const topics = await log.topics(stop.signal);
  const found = new Map<string, LogRecord>();
  for (const topic of topics) {
    const { earliest, latest } = await log.bounds(topic, stop.signal);
    let wanted = earliest;
    for await (const { records, next, highWatermark } of log.tail(topic, earliest, undefined, stop.signal)) {
      for (const record of records) {
        const isNext = record.offset === wanted || record.offset === woodpeckerPosition((wanted >> 64n) + 1n, 0n);
        assert.ok(isNext, `${topic} goes from ${wanted} to ${record.offset}`);
        wanted = record.offset + 1n;
        found.set(`${topic} ${woodpeckerPositions.format(record.offset)}`, record);
      }
      if (records.length === 0 && next >= highWatermark) break;
    }
    assert.equal(wanted, latest);
  }
  stop.abort();
  await logs.close();
  const archive = readTarZst(
    Deno.readFileSync(new URL(`../../../samples/recordings/${NAME}.tar.zst`, import.meta.url)),
  );
  const dump = [...archive].find(([path]) => path.endsWith("/dump-messages.jsonl"))![1];
  const lines = new TextDecoder().decode(dump).trim().split("\n").map((line) => JSON.parse(line));
  assert.equal(lines.length, 76);
  for (const { pchannel, id, properties, payload } of lines) {
    const place = woodpeckerPositions.format(woodpeckerPositions.fromMilvus(Uint8Array.fromBase64(id))!);
    const record = found.get(`${pchannel} ${place}`);
    assert.ok(record !== undefined, `${pchannel} ${place} is missing`);
    // What is said of a transaction is put together by the server.
    if (properties._t === "999") continue;
    assert.equal(record.value!.toBase64(), payload);
    const text = new TextDecoder();
    assert.deepEqual(Object.fromEntries(record.headers.map(([name, value]) => [name, text.decode(value)])), properties);
  }
});
