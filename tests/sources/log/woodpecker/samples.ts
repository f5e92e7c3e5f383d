/** Genuine logs of Woodpecker's own Go module, 0.1.3 to 0.1.37, put into memory. */
import { WoodpeckerLogs } from "../../../../sources/log/mod.ts";
import { createMemoryStore, type MemoryStore } from "../../../../stores/mod.ts";
import { EtcdKeys } from "../../../fakes/etcd_keys.ts";
import { readTarZst } from "../../../stack/recorded/tar.ts";

/** A message that a writer had acknowledged. */
export interface ExpectedMessage {
  readonly segment: bigint;
  readonly entry: bigint;
  readonly payload: Uint8Array;
  readonly properties: Readonly<Record<string, string>>;
}

export interface Sample {
  readonly name: string;
  readonly storage: "s3" | "local";
  readonly log: string;
  readonly root: string;
  readonly store: MemoryStore;
  readonly keys: EtcdKeys;
  readonly expected: readonly ExpectedMessage[];
  logs(): WoodpeckerLogs;
}

const files = readTarZst(Deno.readFileSync(new URL("../../../samples/woodpecker.tar.zst", import.meta.url)));
const utf8 = new TextDecoder();

export const SAMPLES: readonly string[] = [...files.keys()].filter((path) => path.endsWith("/sample.json"))
  .map((path) => path.split("/").at(-2)!).sort();

export async function readSample(name: string): Promise<Sample> {
  const text = (file: string) => utf8.decode(files.get(`./${name}/${file}`)!);
  const lines = (file: string) => text(file).trim().split("\n").map((line) => JSON.parse(line));
  const about = JSON.parse(text("sample.json"));
  const keys = new EtcdKeys();
  for (const { key, value } of lines("etcd.jsonl")) keys.put(key, Uint8Array.fromBase64(value));
  const store = createMemoryStore({ name });
  const objects = `./${name}/objects/`;
  for (const [path, content] of files) {
    if (path.startsWith(objects)) await store.put(path.slice(objects.length), new Uint8Array(content));
  }
  return {
    name,
    storage: about.storage,
    log: about.log,
    root: about.object_root,
    store,
    keys,
    expected: lines("expected.jsonl").map(({ segment, entry, payload, properties }) => ({
      segment: BigInt(segment),
      entry: BigInt(entry),
      payload: Uint8Array.fromBase64(payload),
      properties,
    })),
    logs: () => new WoodpeckerLogs(keys, WoodpeckerLogs.candidates("by-dev", undefined)),
  };
}
