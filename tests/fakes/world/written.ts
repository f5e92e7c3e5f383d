/** A world as its cluster would write it: what happens in it is brought to Kafka, etcd and S3 step by step. */
import type { LogRecord } from "../../../pipeline/model/mod.ts";
import { Upkeep } from "./upkeep.ts";
import { World } from "./world.ts";
import { createMemoryStore } from "../../../stores/mod.ts";
import { RECORDED_NAME } from "../../stack/recorded/cluster_name.ts";
import type { EtcdChange } from "../../stack/recorded/recording.ts";
import type { RecordedServers } from "../../stack/recorded/servers.ts";
import { keysOf } from "./keys.ts";
import { WorldObjects } from "./objects.ts";

export const PCHANNELS = [0, 1].map((n) => `${RECORDED_NAME}-rootcoord-dml_${n}`);

/** Where it is brought. */
export type Servers = Pick<RecordedServers, "createTopics" | "put" | "produce" | "write">;

export class WrittenWorld {
  readonly world: World;
  readonly upkeep: Upkeep;
  /** What etcd has now. */
  keys: ReadonlyMap<string, Uint8Array> = new Map();
  readonly #servers: Servers;
  readonly #objects: WorldObjects;
  #records: LogRecord[] = [];

  private constructor(servers: Servers, seed: number) {
    this.#servers = servers;
    this.world = new World([...PCHANNELS], { store: createMemoryStore(), seed });
    this.world.log.onRecord = (record) => this.#records.push(record);
    this.upkeep = new Upkeep(this.world);
    this.#objects = new WorldObjects(this.world, this.upkeep);
    this.world.generation = 2;
  }

  /** `servers`: without anything in them. `seed`: what the nodes of the world do by chance. */
  static async open(servers: Servers, seed: number): Promise<WrittenWorld> {
    await servers.createTopics(PCHANNELS);
    return new WrittenWorld(servers, seed);
  }

  /** What the world did since the last time: its files, then its records, then its metadata in one transaction. */
  async bring(): Promise<void> {
    await this.#servers.put(await Array.fromAsync(this.#objects.make()));
    // The places of the records are those that the world knows: each topic is this world's alone.
    const ms = Date.now();
    await this.#servers.produce(
      this.#records.splice(0).map(({ topic, offset, headers, value }) => ({
        topic,
        offset: Number(offset),
        ms,
        headers,
        value,
      })),
    );
    const keys = keysOf(await this.world.meta.snapshot(new AbortController().signal), this.world.now, this.#objects);
    await this.#servers.write(changesOf(this.keys, keys));
    this.keys = keys;
  }
}

function changesOf(before: ReadonlyMap<string, Uint8Array>, now: ReadonlyMap<string, Uint8Array>): EtcdChange[] {
  const gone = [...before.keys()].filter((key) => !now.has(key)).map((key) => ({ key, value: undefined }));
  const put = [...now].filter(([key, value]) => before.get(key)?.toHex() !== value.toHex())
    .map(([key, value]) => ({ key, value }));
  return [...gone, ...put];
}
