/** The log of a real Milvus 2.6.19, given by a stand-in with that server's manners. */
import assert from "node:assert/strict";
import type { LogRecord } from "../../../../pipeline/model/mod.ts";
import { woodpeckerPositions } from "../../../../pipeline/positions/mod.ts";
import { MessageType } from "../../../../pipeline/proto/gen/messages_pb.ts";
import { headerText } from "../../../../sources/log/headers.ts";
import { DumpServer } from "../../../fakes/dump_server.ts";
import { readRecording } from "../../../stack/recorded/mod.ts";
import { readTarZst } from "../../../stack/recorded/tar.ts";
import { etcdKeys, woodpeckerRecords } from "../../../stack/recorded/woodpecker_records.ts";
import { dumpLog } from "./log.ts";

const NAME = "2.6.19-woodpecker-v1";

/** Everything that the log gives of each channel, up to where it says that it ends. */
async function given(whole: boolean): Promise<Map<string, LogRecord[]>> {
  await using server = await DumpServer.start({ whole });
  for (const [topic, { records, begin }] of await woodpeckerRecords(readRecording(NAME))) {
    server.create(topic);
    server.append(topic, records);
    server.truncate(topic, begin);
  }
  const { log, close } = dumpLog(server, { etcd: etcdKeys(readRecording(NAME)) });
  const never = new AbortController().signal;
  const found = new Map<string, LogRecord[]>();
  for (const topic of await log.topics(never)) {
    const { earliest, latest } = await log.bounds(topic, never);
    const records: LogRecord[] = [];
    for await (const page of log.tail(topic, earliest, undefined, never)) {
      records.push(...page.records);
      if (page.records.length > 0 || page.next < page.highWatermark) continue;
      assert.ok(page.next >= latest);
      break;
    }
    found.set(topic, records);
  }
  await close();
  return found;
}

function plain({ offset, headers, value }: LogRecord) {
  const text = new TextDecoder();
  return {
    id: woodpeckerPositions.format(offset),
    properties: Object.fromEntries(headers.map(([name, content]) => [name, text.decode(content)])),
    payload: value!.toBase64(),
  };
}

Deno.test("createDumpLog gives of a recorded log what that server gave of it, in its order", async () => {
  const archive = readTarZst(
    Deno.readFileSync(new URL(`../../../samples/recordings/${NAME}.tar.zst`, import.meta.url)),
  );
  const dump = [...archive].find(([path]) => path.endsWith("/dump-messages.jsonl"))![1];
  const lines = new TextDecoder().decode(dump).trim().split("\n").map((line) => JSON.parse(line));
  const found = await given(false);
  assert.equal(lines.length, 76);
  for (const [topic, records] of found) {
    const said = lines.filter(({ pchannel }) => pchannel === topic).map(({ id, properties, payload }) => ({
      id: woodpeckerPositions.format(woodpeckerPositions.fromMilvus(Uint8Array.fromBase64(id))!),
      properties,
      payload,
    }));
    assert.deepEqual(records.map(plain), said, topic);
  }
});

Deno.test("createDumpLog gives a recorded log of a release that expands transactions with every record but Milvus' own", async () => {
  const hidden = new Set([MessageType.TimeTick, MessageType.CreateSegment, MessageType.Flush].map(String));
  const all = await woodpeckerRecords(readRecording(NAME));
  const found = await given(true);
  for (const [topic, { records, begin }] of all) {
    const wanted = records.filter((record) => record.offset >= begin && !hidden.has(headerText(record, "_t")!));
    const places = (some: readonly LogRecord[]) => some.map(({ offset }) => offset).sort((a, b) => a < b ? -1 : 1);
    assert.deepEqual(places(found.get(topic)!), places(wanted), topic);
    const values = new Map(wanted.map(({ offset, value }) => [offset, value!.toBase64()]));
    for (const { offset, value } of found.get(topic)!) assert.equal(value!.toBase64(), values.get(offset));
  }
  const types = [...found.values()].flat().map((record) => headerText(record, "_t"));
  assert.ok(types.includes("900") && types.includes("901"));
});
