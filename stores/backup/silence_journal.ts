/**
 * pchannels on which nothing was written: `<name>/silent/<pchannel>.json`. From generation 2 on no tick comes without a message,
 * so the records alone do not say that there were none; whoever read the log to its end knows it.
 */
import { formatJson } from "../../pipeline/json.ts";
import type { HybridTs, ObjectStore, Silence } from "../../pipeline/model/mod.ts";
import { readJsonObject } from "./json_reader.ts";
import { readText } from "./text.ts";

export const silenceFolder = (name: string): string => `${name}/silent/`;

export async function writeSilence(
  store: ObjectStore,
  name: string,
  pchannel: string,
  { tick, ts }: Silence,
  signal?: AbortSignal,
): Promise<void> {
  const text = formatJson({ tidemark_silence: 1, pchannel, tick, ts });
  await store.put(`${silenceFolder(name)}${pchannel}.json`, new TextEncoder().encode(text), {}, signal);
}

/** Throws `damaged`. */
export async function readSilences(
  store: ObjectStore,
  name: string,
  signal?: AbortSignal,
): Promise<Map<string, Silence>> {
  const silences = new Map<string, Silence>();
  for await (const { key } of store.list(silenceFolder(name), signal)) {
    const json = readJsonObject(await readText(store, key, signal), key);
    silences.set(json.text("pchannel"), { tick: json.int("tick"), ts: json.int("ts") });
  }
  return silences;
}

/** How far an archive reaches that ends with `tick`. */
export function reachOf(tick: HybridTs, silence: Silence | undefined): HybridTs {
  return silence !== undefined && tick >= silence.tick && silence.ts > tick ? silence.ts : tick;
}
