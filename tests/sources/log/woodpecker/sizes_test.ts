/** What a log's segments take: a store's listing of their folders against etcd's word of their entries. */
import assert from "node:assert/strict";
import type { ObjectStore } from "../../../../pipeline/model/mod.ts";
import { woodpeckerPosition } from "../../../../pipeline/positions/mod.ts";
import { createWoodpeckerLog, WoodpeckerLogs } from "../../../../sources/log/mod.ts";
import { createMemoryStore } from "../../../../stores/mod.ts";
import { EtcdKeys } from "../../../fakes/etcd_keys.ts";
import { WoodpeckerWriter } from "../../../fakes/woodpecker_writer.ts";

const LOG = "by-dev-rootcoord-dml_0";
const never = new AbortController().signal;

Deno.test("createWoodpeckerLog measures whole segments exactly, asks of a finished one once, and says nothing of an empty log", async () => {
  const memory = createMemoryStore();
  const keys = new EtcdKeys();
  const writer = new WoodpeckerWriter(memory, keys);
  const logs = new WoodpeckerLogs(keys, ["woodpecker"]);
  const listed: string[] = [];
  const store: ObjectStore = {
    ...memory,
    list: (prefix, signal) => {
      listed.push(prefix);
      return memory.list(prefix, signal);
    },
  };
  const log = createWoodpeckerLog({ store, root: "files/wp", isFolder: false, logs, pollMs: 1, idlePollMs: 1 });
  const messages = (count: number, length: number) =>
    Array.from({ length: count }, () => ({ value: new Uint8Array(length), headers: {} }));
  const sizeOf = async (segment: number, name: RegExp) => {
    let sum = 0n;
    for await (const { key, size } of memory.list(`files/wp/1/${segment}/`)) if (name.test(key)) sum += size;
    return sum;
  };
  try {
    writer.create(LOG);
    assert.equal(await log.measure!(LOG, 0n, never), undefined);
    await writer.append(LOG, messages(4, 1000));
    await writer.append(LOG, messages(4, 10));
    writer.complete(LOG);
    await writer.compact(LOG, 0, 8);
    writer.begin(LOG);
    await writer.append(LOG, messages(10, 100));
    const { latest } = await log.bounds(LOG, never);
    const measure = (await log.measure!(LOG, 0n, never))!;
    const first = await sizeOf(0, /\/m_\d+\.blk$/);
    const second = await sizeOf(1, /\/\d+\.blk$/);
    assert.equal(measure.bytes(0n, latest), first + second);
    assert.equal(measure.bytes(woodpeckerPosition(1n, 0n), latest), second);
    assert.equal(measure.bytes(woodpeckerPosition(0n, 4n), woodpeckerPosition(0n, 8n)), first / 2n);
    await log.measure!(LOG, 0n, never);
    assert.deepEqual(listed, ["files/wp/1/0/", "files/wp/1/1/", "files/wp/1/1/"]);
    listed.length = 0;
    await log.measure!(LOG, woodpeckerPosition(1n, 3n), never);
    assert.deepEqual(listed, ["files/wp/1/1/"], "what lies before the run is not asked for");
  } finally {
    await logs.close();
  }
});
