/** One reader of one topic as a process of its own, so that what it uses is its own alone. Prints what it found as JSON. */
import process from "node:process";
import type { LogSource } from "../../pipeline/model/mod.ts";
import {
  kafkaLogSpec,
  openKafkaLog,
  openPulsarLog,
  openWoodpeckerLog,
  pulsarLogSpec,
  woodpeckerLogSpec,
} from "../../sources/log/mod.ts";
import { usageOf } from "./rig.ts";

/** Which log, as `sources.log` says it. */
export interface QueueConfig {
  readonly log: Record<string, unknown> & { readonly type: "kafka" | "pulsar" | "woodpecker" };
  /** Of Woodpecker: where its keys are. */
  readonly etcd?: string;
}

export interface Read {
  readonly seconds: number;
  readonly cpu: number;
  readonly bytes: number;
  /** MiB. */
  readonly peak: number;
}

export async function openQueue({ log, etcd }: QueueConfig): Promise<LogSource> {
  switch (log.type) {
    case "kafka":
      return await openKafkaLog(kafkaLogSpec.parse(log));
    case "pulsar":
      return await openPulsarLog(pulsarLogSpec.parse(log));
    case "woodpecker":
      return await openWoodpeckerLog(woodpeckerLogSpec.parse(log), {
        etcd: { endpoints: [etcd!], root_path: "by-dev", dial_timeout_ms: 5000 },
      });
  }
}

/** The first `count` records of `topic`, read by another process. */
export async function readApart(queue: QueueConfig, topic: string, count: number): Promise<Read> {
  const { success, stdout } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", import.meta.filename!, JSON.stringify({ queue, topic, count })],
    stdout: "piped",
    stderr: "inherit",
  }).output();
  if (!success) throw new Error(`The reader of ${topic} failed`);
  return JSON.parse(new TextDecoder().decode(stdout));
}

async function read(source: LogSource, topic: string, count: number): Promise<Read> {
  const never = new AbortController().signal;
  const { earliest } = await source.bounds(topic, never);
  const before = process.cpuUsage();
  const began = performance.now();
  let [bytes, found] = [0, 0];
  for await (const { records } of source.tail(topic, earliest, undefined, never)) {
    for (const { value } of records) bytes += value!.length;
    found += records.length;
    if (found >= count) break;
  }
  const seconds = (performance.now() - began) / 1000;
  const { user, system } = process.cpuUsage(before);
  return { seconds, cpu: (user + system) / 1e6, bytes, peak: usageOf(Deno.pid).peak };
}

if (import.meta.main) {
  const { queue, topic, count } = JSON.parse(Deno.args[0]!) as { queue: QueueConfig; topic: string; count: number };
  const source = await openQueue(queue);
  console.log(JSON.stringify(await read(source, topic, count)));
  await source.close();
}
