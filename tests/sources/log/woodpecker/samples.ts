/** Genuine logs of Woodpecker's own Go module, 0.1.3 to 0.1.37, put into memory. */
import { WoodpeckerLogs } from "../../../../sources/log/mod.ts";
import { FileSegment } from "../../../../sources/log/woodpecker/file_segment.ts";
import type { SegmentMeta } from "../../../../sources/log/woodpecker/keys.ts";
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

/** The servers of a sample: what is in the files on their disks of the segment that is written. */
export async function readNodes(
  name: string,
): Promise<readonly { readonly address: string; readonly entries: readonly Uint8Array[] }[]> {
  const signal = new AbortController().signal;
  const found = [...files].filter(([path]) => path.startsWith(`./${name}/nodes/`) && path.endsWith("/data.log"));
  return await Promise.all(found.map(async ([path, content]) => {
    const store = createMemoryStore();
    await store.put("s/data.log", new Uint8Array(content));
    const meta: SegmentMeta = { segment: 0n, state: "active", lastEntry: -1n, nodes: [], acks: 1 };
    const segment = new FileSegment({ store, folder: "s", meta: () => meta });
    const entries: Uint8Array[] = [];
    for (let step; (step = await segment.read(BigInt(entries.length), signal)).kind === "entries";) {
      entries.push(...step.entries);
    }
    // They were started in this order.
    return { address: `127.0.0.1:4370${/node(\d)/.exec(path)![1]}`, entries };
  }));
}
