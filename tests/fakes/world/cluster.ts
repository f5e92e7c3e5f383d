/** The log, the metadata and the clock of a world, and how its messages get into the log. */
import { catalogChange } from "../catalog_change.ts";
import {
  type BinlogSource,
  type Catalog,
  type CatalogChange,
  hybridFromMs,
  type HybridTs,
  type LogSource,
  type MetaSource,
  type Snapshot,
  type StoredPosition,
} from "../../../pipeline/model/mod.ts";
import type { MemoryStore } from "../../../stores/mod.ts";
import type { PipelineSource } from "../pipeline.ts";
import type { Change, MessageBuilder } from "../streaming/action.ts";
import { buildMessage } from "../streaming/own_builder.ts";
import { chanceOf } from "../streaming/random.ts";
import { Changes } from "./changes.ts";
import { WorldFiles } from "./files.ts";
import { placeOf, type Thing } from "./thing.ts";
import { WorldLog } from "./world_log.ts";

const FIRST_MS = 1_795_000_000_000;

export abstract class WorldCluster implements PipelineSource {
  readonly things = new Map<bigint, Thing>();
  /** What is still to come of changes that have begun. */
  readonly pending: (() => void)[] = [];
  #generation: 1 | 2 = 1;
  protected readonly written: WorldLog;
  protected readonly chance: (of: number) => boolean;
  /** Whether a node still has the last rows in memory when it writes a checkpoint; left out: never. */
  protected readonly keeps: ((of: number) => boolean) | undefined;
  /** Others write to the channels all the time, so that ticks come; without them a run has to wait a second for silence. */
  readonly #neighbours: boolean;
  readonly #changes = new Changes();
  readonly files: WorldFiles;
  /** Whether its metadata tells of changes that have not reached every channel; else a copy may begin in the middle of one. */
  readonly #tells: boolean;
  /** What was done, for people. */
  readonly said: string[] = [];
  /** vchannel and partition -> the segment that takes its rows. */
  protected readonly growing = new Map<string, bigint>();
  protected readonly silent = new Set<string>();
  readonly checkpoints = new Map<string, StoredPosition>();
  /** vchannel -> the time of its checkpoint, where what has that time is in memory only. */
  protected readonly inMemory = new Map<string, HybridTs>();
  protected ms = FIRST_MS;
  protected ids = 100n;
  #revision = 1n;

  /**
   * `store`: where its segments have files; left out, nobody copies them. `build` makes the messages of generation 2; `seed` decides
   * what its nodes do by chance. `retries`: messages of generation 1 are written twice now and then, too, and checkpoints of generation
   * 2 have the time of rows that are in memory only.
   */
  constructor(
    readonly pchannels: readonly string[],
    { store, seed = 1, retries = true, build = buildMessage }: {
      readonly store?: MemoryStore | undefined;
      readonly seed?: number;
      readonly retries?: boolean;
      readonly build?: MessageBuilder;
    } = {},
  ) {
    this.files = new WorldFiles(store);
    this.#tells = store !== undefined;
    this.binlogs = this.files.binlogs;
    this.chance = chanceOf(seed);
    this.written = new WorldLog(build, this.chance, retries ? chanceOf(seed + 1) : undefined);
    this.keeps = retries ? chanceOf(seed + 2) : undefined;
    this.#neighbours = !this.chance(4);
    for (const pchannel of pchannels) this.log.createTopic(pchannel);
  }

  get log(): WorldLog["log"] {
    return this.written.log;
  }

  get generation(): 1 | 2 {
    return this.#generation;
  }

  /** To 2: streaming nodes take all channels. */
  set generation(generation: 1 | 2) {
    if (generation === this.#generation) return;
    this.#generation = generation;
    this.ms++;
    for (const pchannel of this.pchannels) this.nodes.open(pchannel, this.now);
  }

  /** The streaming node of a channel goes, and another takes it. */
  handOver(pchannel: string): void {
    if (this.generation === 1) return;
    this.say(`hand over ${pchannel}`);
    this.ms++;
    this.nodes.open(pchannel, this.now);
  }

  protected get nodes(): WorldLog["nodes"] {
    return this.written.nodes;
  }

  get live(): Thing[] {
    return [...this.things.values()];
  }

  /** Of its metadata. */
  get revision(): bigint {
    return this.#revision;
  }

  find(db: string, name: string): Thing | undefined {
    return this.live.find(({ collection }) => collection.dbName === db && collection.name === name);
  }

  grow(pchannel: string): void {
    if (this.pchannels.includes(pchannel)) return;
    (this.pchannels as string[]).push(pchannel);
    this.log.createTopic(pchannel);
    if (this.generation === 2) this.nodes.open(pchannel, this.now);
  }

  protected say(what: string): void {
    this.said.push(`${this.ms - FIRST_MS} ms: ${what}`);
  }

  protected next(): HybridTs {
    return hybridFromMs(this.ms) + 1n;
  }

  get now(): HybridTs {
    return hybridFromMs(this.ms);
  }

  /** A record of generation 1. */
  protected append(pchannel: string, event: Record<string, unknown>, ts = this.next()): void {
    this.written.append(pchannel, event, ts);
  }

  protected step(): void {
    this.ms++;
  }

  tick(): void {
    this.ms++;
    if (this.generation === 2) {
      for (const pchannel of this.pchannels) this.nodes.tick(pchannel, this.now);
      return;
    }
    const ticking = new Set(this.live.flatMap(({ collection }) => collection.pchannels));
    for (const pchannel of this.pchannels) {
      if (ticking.has(pchannel)) this.append(pchannel, { kind: "tick" }, hybridFromMs(this.ms));
    }
    this.written.retry();
  }

  ticking(): Disposable {
    const timer = setInterval(() => {
      if (this.#neighbours && this.generation === 2) this.#neighbour();
      // Some runs wait until a transaction that nobody ends has expired.
      if (this.live.some(({ transactions }) => transactions.size > 0)) this.ms += 50;
      this.tick();
    }, 2);
    return { [Symbol.dispose]: () => clearInterval(timer) };
  }

  /** A message on each channel, unless it is {@link silent}, to a collection that nobody knows. */
  #neighbour(): void {
    const place = placeOf({ dbName: "neighbours", name: "other", id: 1n });
    for (const pchannel of this.pchannels) {
      if (this.silent.has(pchannel)) continue;
      const [vchannel, segment] = [`${pchannel}_1v0`, ++this.ids];
      this.nodes.write(pchannel, { ...place, kind: "create_segment", vchannel, segment, tt: this.next() });
    }
  }

  protected get controlChannel(): string {
    return `${this.pchannels[0]}_vcchan`;
  }

  protected broadcast(vchannels: readonly string[]): NonNullable<Change["broadcast"]> {
    return { id: ++this.ids, vchannels: [...vchannels, this.controlChannel] };
  }

  /** The copy of a change for the control channel, which orders what the cluster does. */
  protected control(message: Change): void {
    if (this.generation === 1 || message.broadcast === undefined) return;
    const tt = this.next() + 1n;
    this.nodes.writeAlone(this.pchannels[0]!, { ...message, vchannel: this.controlChannel, tt });
  }

  /** A message to all vchannels of a collection. */
  protected tell({ collection }: Thing, message: Change, tt = this.next()): void {
    if (message.broadcast!.vchannels.includes(this.controlChannel)) this.control(message);
    collection.pchannels.forEach((pchannel, shard) => {
      this.nodes.writeAlone(pchannel, { ...message, vchannel: collection.vchannels[shard]!, tt });
    });
    this.step();
  }

  readonly meta: MetaSource = {
    snapshot: () => Promise.resolve(this.#snapshot()),
    watch: (revision, signal) => this.#changes.after(revision, signal),
    lookup: (id) => {
      const thing = this.things.get(id);
      return Promise.resolve(
        thing === undefined ? { state: "unknown" } : { state: "live", collection: thing.collection },
      );
    },
    check: () => Promise.resolve([]),
    close: () => Promise.resolve(),
  };

  readonly binlogs: BinlogSource;

  get follow(): PipelineSource["follow"] {
    return this.written.follow;
  }

  /** Follows a log that holds its records, an archive of them for instance. */
  followOf(log: LogSource): PipelineSource["follow"] {
    return this.written.followOf(log);
  }

  get describe(): PipelineSource["describe"] {
    return this.written.describe;
  }

  #catalog(): Catalog {
    return {
      databases: [{ id: 1n, name: "default", createTs: 0n, properties: {} }, {
        id: 2n,
        name: "other",
        createTs: 0n,
        properties: {},
      }],
      collections: this.live.map(({ collection }) => collection),
      rbac: { users: [], roles: [], grants: [], privilegeGroups: [] },
      notLive: [],
    };
  }

  protected note(change: Partial<CatalogChange>): void {
    this.#changes.add(catalogChange(++this.#revision, this.#catalog(), change));
  }

  #snapshot(): Snapshot {
    return {
      revision: this.#revision,
      clusterId: "1",
      catalog: this.#catalog(),
      segments: this.files.segments,
      checkpoints: new Map(this.checkpoints),
      droppedChannels: [],
      imports: this.live.flatMap(({ imports }) => imports.map(({ task }) => task)),
      unsettled: this.live.filter(({ busy }) => this.#tells && busy).map(({ id }) => ({
        broadcastId: id,
        collectionId: id,
        typeName: "TruncateCollection",
      })),
      serverVersion: "2.6.0",
      takenAtMs: Date.now(),
    };
  }
}
