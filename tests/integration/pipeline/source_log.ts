/** The log of the stack's source, as another reader sees it. */
import type { LogSource } from "../../../pipeline/model/mod.ts";
import { kafkaLogSpec, openKafkaLog } from "../../../sources/log/mod.ts";
import { eventually } from "../../stack/eventually.ts";

const never = new AbortController().signal;

export async function openSourceLog(env: Record<string, string>): Promise<LogSource & AsyncDisposable> {
  const log = await openKafkaLog(kafkaLogSpec.parse({ type: "kafka", brokers: env.KAFKA_BROKERS!.split(",") }));
  return Object.assign(log, { [Symbol.asyncDispose]: () => log.close() });
}

/** Waits until that many more records are in the log of a channel on which a collection lives: ticks come by themselves. */
export async function untilGrown(log: LogSource, pchannel: string, records: bigint): Promise<void> {
  const { latest } = await log.bounds(pchannel, never);
  let now = latest;
  await eventually(`${pchannel} has ${records} more records`, async () => {
    now = (await log.bounds(pchannel, never)).latest;
    return now >= latest + records;
  }, { progress: () => `from ${latest} to ${now}` });
}
