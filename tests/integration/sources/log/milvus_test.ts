/** What a real Milvus writes, read back. */
import assert from "node:assert/strict";
import { decodeFieldData } from "../../../../pipeline/columns/mod.ts";
import type { DeleteEvent, InsertEvent, LogEvent, LogSource, ResumePoint } from "../../../../pipeline/model/mod.ts";
import {
  decodeReplicate,
  followPchannel,
  inspectedTopics,
  inspectLog,
  kafkaLogSpec,
  type LogOddity,
  openKafkaLog,
} from "../../../../sources/log/mod.ts";
import { stackEnv } from "../../../stack/env.ts";
import { eventually } from "../../../stack/eventually.ts";

const PREFIX = "log_source";

/** Runs a script with pymilvus against the source; it prints one line of JSON. */
async function onSource(script: string): Promise<Record<string, string>> {
  const env = stackEnv();
  const command = new Deno.Command(env.PYTHON!, {
    args: ["-c", `import json\nfrom pymilvus import *\nconnections.connect(uri="${env.SOURCE_URI}")\n${script}`],
    stdout: "piped",
    stderr: "piped",
  });
  const { success, stdout, stderr } = await command.output();
  if (!success) throw new Error(new TextDecoder().decode(stderr));
  return JSON.parse(new TextDecoder().decode(stdout));
}

/** Inserts, upserts and deletes by partition, then drops; prints the collection's id and vchannels. */
const WORKLOAD = `
name = "${PREFIX}_all"
if utility.has_collection(name): utility.drop_collection(name)
fields = [
  FieldSchema("id", DataType.INT64, is_primary=True),
  FieldSchema("v", DataType.FLOAT_VECTOR, dim=4),
  FieldSchema("s", DataType.VARCHAR, max_length=100),
  FieldSchema("j", DataType.JSON),
  FieldSchema("b", DataType.BOOL),
  FieldSchema("d", DataType.DOUBLE),
]
c = Collection(name, CollectionSchema(fields, enable_dynamic_field=True), shards_num=2)
def rows(ids, text): return [{"id": i, "v": [i, 0.5, -1, 2], "s": f"{text} {i}", "j": {"n": i}, "b": i % 2 == 0, "d": i / 4, "extra": i} for i in ids]
c.insert(rows(range(100), "first"))
c.create_partition("p1")
c.insert(rows([2**53 + 1, -(2**62)], "in p1"), partition_name="p1")
c.upsert(rows([1, 2], "second"))
c.delete("id in [3, 4, 5]")
c.delete("id in [9007199254740993]", partition_name="p1")
c.insert(rows([2**53 + 1, -(2**62)], "again"), partition_name="p1")
c.drop_partition("p1")
c.flush()
d = c.describe()
utility.drop_collection(name)
print(json.dumps({"id": str(d["collection_id"])}))
`;

async function open(): Promise<LogSource> {
  return await openKafkaLog(kafkaLogSpec.parse({ type: "kafka", brokers: stackEnv().KAFKA_BROKERS!.split(",") }));
}

async function pchannels(log: LogSource): Promise<string[]> {
  const topics = await log.topics(new AbortController().signal);
  return inspectedTopics(topics, stackEnv().SOURCE_ROOT!).filter((topic) => topic.includes("dml"));
}

/** The collection's events on one pchannel, up to its drop. */
async function eventsOf(
  log: LogSource,
  pchannel: string,
  collectionId: bigint,
  oddities: LogOddity[],
): Promise<LogEvent[]> {
  const stop = new AbortController();
  const { earliest, latest, topicId } = await log.bounds(pchannel, stop.signal);
  const found: LogEvent[] = [];
  const groups = followPchannel(log, {
    pchannel,
    from: { offset: earliest, tick: 0n },
    topicId,
    select: (event) => event.kind === "block" || event.collectionId === collectionId,
    onOddity: (oddity) => oddities.push(oddity),
  }, stop.signal);
  for await (const group of groups) {
    found.push(...group.events);
    if (group.resume.offset + 1n >= latest) break;
  }
  return found;
}

/** Waits until the log has the collection's drop, and its tick, on each of its `shards`. */
async function untilDropped(log: LogSource, collectionId: bigint, shards: number): Promise<void> {
  let drops = 0;
  await eventually("the log has the drop", async () => {
    drops = 0;
    for (const pchannel of await pchannels(log)) {
      const events = await eventsOf(log, pchannel, collectionId, []);
      drops += events.filter((event) => event.kind === "ddl" && event.operation === "drop_collection").length;
    }
    return drops === shards;
  }, { progress: () => `${drops} of ${shards} channels`, everyMs: 500 });
}

/** Applies the events as a sink would: rows by partition and key. */
function apply(events: readonly LogEvent[], state: Map<string, string>): void {
  for (const event of events) {
    if (event.kind === "insert") {
      for (const [key, text] of rowsOf(event)) state.set(`${event.partitionName}/${key}`, text);
    } else if (event.kind === "delete") remove(event, state);
    else if (event.kind === "ddl" && event.operation === "drop_partition") {
      for (const key of [...state.keys()]) if (key.startsWith(`${event.partitionName}/`)) state.delete(key);
    }
  }
}

function rowsOf(event: InsertEvent): [string, string][] {
  const columns = new Map(event.fieldsData.map((bytes) => decodeFieldData(bytes, event.rows)).map((c) => [c.name, c]));
  const ids = columns.get("id")!.data;
  const texts = columns.get("s")!.data;
  assert.ok(ids.kind === "int64" && texts.kind === "utf8");
  return Array.from(ids.values, (id, row) => [String(id), new TextDecoder().decode(texts.values[row])]);
}

function remove(event: DeleteEvent, state: Map<string, string>): void {
  for (const key of event.keys.values) {
    for (const found of [...state.keys()]) {
      const [partition, id] = found.split("/");
      if (id === String(key) && (event.partitionId === -1n || partition === event.partitionName)) state.delete(found);
    }
  }
}

Deno.test("followPchannel reads what a real Milvus wrote, so that applying it gives Milvus' own content", async () => {
  const { id } = await onSource(WORKLOAD);
  const log = await open();
  try {
    await untilDropped(log, BigInt(id!), 2);
    const state = new Map<string, string>();
    const oddities: LogOddity[] = [];
    const ddl: string[] = [];
    const partitionDrops: bigint[] = [];
    for (const pchannel of await pchannels(log)) {
      const events = await eventsOf(log, pchannel, BigInt(id!), oddities);
      assert.deepEqual(events.filter((event) => event.kind === "block"), []);
      for (const event of events) {
        assert.equal(event.generation, 1);
        assert.ok(event.ts > 0n && event.vchannel.startsWith(`${pchannel}_${id}v`), event.vchannel);
        if (event.kind !== "ddl") continue;
        ddl.push(event.operation);
        if (event.operation === "drop_partition") partitionDrops.push(event.ts);
      }
      const ts = events.map((event) => event.ts);
      assert.deepEqual(ts, ts.toSorted((a, b) => a < b ? -1 : a > b ? 1 : 0));
      apply(events, state);
    }
    assert.deepEqual(ddl.sort(), [
      "create_collection",
      "create_collection",
      "drop_collection",
      "drop_collection",
      "drop_partition",
      "drop_partition",
    ]);
    // A broadcast has one timestamp on all channels.
    assert.equal(new Set(partitionDrops).size, 1);
    const wanted = new Map<string, string>();
    for (let i = 0; i < 100; i++) wanted.set(`_default/${i}`, `${i === 1 || i === 2 ? "second" : "first"} ${i}`);
    for (const i of [3, 4, 5]) wanted.delete(`_default/${i}`);
    assert.deepEqual([...state].sort(), [...wanted].sort());
    assert.deepEqual(oddities.filter(({ kind }) => kind !== "skipped"), []);
  } finally {
    await log.close();
  }
});

Deno.test("inspectLog prints a real log in the order of each channel, and ends where the log ended", async () => {
  const log = await open();
  const never = new AbortController().signal;
  const from = new Map<string, ResumePoint>();
  for (const topic of inspectedTopics(await log.topics(never), stackEnv().SOURCE_ROOT!)) {
    from.set(topic, { offset: (await log.bounds(topic, never)).latest, tick: 0n });
  }
  try {
    const { id } = await onSource(`
name = "${PREFIX}_inspect"
if utility.has_collection(name): utility.drop_collection(name)
c = Collection(name, CollectionSchema([FieldSchema("k", DataType.VARCHAR, max_length=20, is_primary=True), FieldSchema("v", DataType.FLOAT_VECTOR, dim=2)]), shards_num=2)
c.insert([["a", "ö"], [[0.25, 1], [2, 3]]])
c.upsert([["a"], [[9, 9]]])
c.delete('k in ["ö"]')
c.flush()
d = c.describe()
utility.drop_collection(name)
print(json.dumps({"id": str(d["collection_id"])}))`);
    await untilDropped(log, BigInt(id!), 2);
    const topics = inspectedTopics(await log.topics(never), stackEnv().SOURCE_ROOT!);
    const lines = [];
    for await (const line of inspectLog(log, { topics, from, follow: false }, never)) lines.push(line);
    const created = lines.findLast((line) => {
      return line.event === "CreateCollection" && line.collection_name === `${PREFIX}_inspect`;
    })!;
    const own = lines.filter((line) => line.collection_id === created.collection_id);
    assert.equal((created.channels as string[]).length, 2);
    assert.equal(own.filter((line) => line.event === "DropCollection").length, 1);
    const rows = own.filter((line) => line.event === "insert").flatMap((line) =>
      line.rows as { k: string; v: number[] }[]
    );
    assert.deepEqual(rows.map((row) => JSON.stringify(row)).sort(), [
      '{"k":"a","v":[0.25,1]}',
      '{"k":"a","v":[9,9]}',
      '{"k":"ö","v":[2,3]}',
    ]);
    const deletes = own.filter((line) => line.event === "delete").flatMap((line) => line.pks as string[]);
    assert.deepEqual(deletes.sort(), ["a", "ö"]);
    assert.ok(
      lines.some((line) => line.event === "Flush" && JSON.stringify(line.request).includes(`${PREFIX}_inspect`)),
    );
    for (const channel of created.channels as string[]) {
      const on = own.filter((line) => line.channel === channel || (line.channels as string[])?.includes(channel));
      assert.deepEqual(on.map((line) => line.ts), on.map((line) => line.ts).toSorted());
      assert.equal(on[0]!.event, "CreateCollection");
      assert.equal(on.at(-1)!.event, "DropCollection");
    }
  } finally {
    await log.close();
  }
});

Deno.test("decodeReplicate reads the requests of a real Milvus", async () => {
  await onSource(`
from pymilvus import db
name = "${PREFIX}_req"
if utility.has_collection(name): utility.drop_collection(name)
c = Collection(name, CollectionSchema([FieldSchema("k", DataType.INT64, is_primary=True), FieldSchema("v", DataType.FLOAT_VECTOR, dim=2)]))
c.create_index("v", {"index_type": "FLAT", "metric_type": "L2", "params": {}}, index_name="own")
c.load()
c.release()
c.flush()
c.drop_index(index_name="own")
utility.drop_collection(name)
print("{}")`);
  const log = await open();
  try {
    const never = new AbortController().signal;
    const topic = `${stackEnv().SOURCE_ROOT}-replicate-msg`;
    const { earliest, latest } = await log.bounds(topic, never);
    const names: string[] = [];
    for await (const { records } of log.tail(topic, earliest, undefined, never)) {
      for (const record of records) {
        const request = decodeReplicate(record)!;
        assert.ok(request.ts > 0n);
        const { collectionName, collectionNames } = request.request as {
          collectionName?: string;
          collectionNames?: string[];
        };
        if ((collectionName ?? collectionNames?.[0]) === `${PREFIX}_req`) names.push(request.typeName);
      }
      if ((records.at(-1)?.offset ?? latest) + 1n >= latest) break;
    }
    assert.deepEqual(names.slice(-5), ["CreateIndex", "LoadCollection", "ReleaseCollection", "Flush", "DropIndex"]);
  } finally {
    await log.close();
  }
});
