/** The records of a recorded cluster on Woodpecker, out of its bucket. */
import type { LogRecord, Position } from "../../../pipeline/model/mod.ts";
import { woodpeckerPosition } from "../../../pipeline/positions/mod.ts";
import { createWoodpeckerLog, WoodpeckerLogs } from "../../../sources/log/mod.ts";
import { createMemoryStore } from "../../../stores/mod.ts";
import { EtcdKeys } from "../../fakes/etcd_keys.ts";
import type { Recording } from "./recording.ts";

export interface RecordedChannel {
  /** All that lies in the bucket, in the order of the log. */
  readonly records: readonly LogRecord[];
  /** What lies before was truncated: the server itself does not give it any more. */
  readonly begin: Position;
}

export async function woodpeckerRecords(recording: Recording): Promise<Map<string, RecordedChannel>> {
  const keys = etcdKeys(recording);
  const store = createMemoryStore();
  for (const [key, content] of recording.objects) await store.put(key, new Uint8Array(content));
  const logs = new WoodpeckerLogs(keys, WoodpeckerLogs.candidates("by-dev", undefined));
  const log = createWoodpeckerLog({ store, root: "files/wp", isFolder: false, logs, pollMs: 1, idlePollMs: 1 });
  const stop = new AbortController();
  const found = new Map<string, RecordedChannel>();
  for (const topic of await log.topics(stop.signal)) {
    const records: LogRecord[] = [];
    const { earliest } = await log.bounds(topic, stop.signal);
    for await (const page of log.tail(topic, earliest, undefined, stop.signal)) {
      records.push(...page.records);
      if (page.records.length === 0 && page.next >= page.highWatermark) break;
    }
    const { segments } = await logs.log(topic, stop.signal);
    const kept = [...segments].filter(([, { state }]) => state !== "truncated").map(([number]) => number);
    const first = kept.reduce((min, number) => number < min ? number : min, kept[0] ?? 0n);
    found.set(topic, { records, begin: woodpeckerPosition(first, 0n) });
  }
  stop.abort();
  await logs.close();
  return found;
}

/** What its etcd holds in the end. */
export function etcdKeys({ revisions }: Recording): EtcdKeys {
  const keys = new EtcdKeys();
  for (const { changes } of revisions) {
    for (const { key, value } of changes) value === undefined ? keys.delete(key) : keys.put(key, value);
  }
  return keys;
}
