/**
 * From a checked configuration to components. Each is loaded and made when it is first asked for, once, and closed with the
 * rest: the clients are most of the program's start, and no command needs them all.
 */
import { TidemarkError } from "../pipeline/errors.ts";
import { type OpenWait, Waits } from "../pipeline/waits.ts";
import type {
  ArchiveSink,
  BinlogSource,
  DeadLetters,
  LogSource,
  ObjectStore,
  RowSink,
  StateStore,
} from "../pipeline/model/mod.ts";
import type { CrashPoint } from "../pipeline/flow/mod.ts";
import { positionsOf } from "../pipeline/positions/mod.ts";
import type { MilvusSinkConfig } from "../sinks/milvus/spec.ts";
import type { BackupSource } from "../sources/backup/mod.ts";
import type { EtcdMetaSource } from "../sources/meta/mod.ts";
import type { TokenBucket, UploadMemory } from "../stores/mod.ts";
import { openLog, queueOf } from "./open_log.ts";
import type { PipelineConfig, SinkConfig } from "./schema.ts";
import { stateName } from "./state_name.ts";

export interface ComponentOptions {
  /** `tidemark <version>`, for the files that sinks write. */
  readonly program: string;
  /**
   * A component has waited for its server for a second, and why; undefined: it goes on. Once per wait: short ones, as with
   * a target that limits its rate, are nothing to tell.
   */
  readonly onWaiting?: (component: string, reason: string | undefined) => void;
  /** A component tries something again. */
  readonly onRetry?: (component: string, error: TidemarkError) => void;
  /** Bytes of values that a response of the log source brought. */
  readonly onFetched?: (topic: string, bytes: number) => void;
  /** For tests: a sink passes a phase at which the process may be killed. */
  readonly passed?: (phase: CrashPoint) => void;
}

/** A sink and the name that the configuration gives it. */
export type NamedSink =
  | { readonly name: string; readonly config: MilvusSinkConfig; readonly sink: RowSink }
  | { readonly name: string; readonly config: Extract<SinkConfig, { type: "backup" }>; readonly sink: ArchiveSink };

export interface Components extends AsyncDisposable {
  readonly config: PipelineConfig;
  meta(): Promise<EtcdMetaSource>;
  log(): Promise<LogSource>;
  binlogs(): Promise<BinlogSource>;
  /** The backup that a restore reads, in the place of the three above. */
  backup(): Promise<BackupSource>;
  /** In the order of the configuration. */
  sinks(): Promise<readonly NamedSink[]>;
  /** Throws `config` for a name that the configuration does not have. */
  sink(name: string): Promise<NamedSink>;
  state(): Promise<StateStore>;
  /** Where rows that a target refuses are put aside, whatever `bad_rows` says. Throws `config` where no folder is given for them. */
  deadLetters(): Promise<DeadLetters>;
  /** The running source, where it may be asked to flush. Throws `config` where no address is given. */
  flushed(): Promise<RowSink>;
  /** The folder of all backups of a sink of type backup. The caller closes it. */
  backupStore(sink: string): Promise<ObjectStore>;
  /** All that waits now. */
  readonly waits: Waits;
}

const TELL_AFTER_MS = 1000;
const DEAD_LETTERS_HINT = "Set transforms.dead_letters: a state in etcd has no folder beside it.";

/** Opens nothing yet. */
export function createComponents(config: PipelineConfig, options: ComponentOptions): Components {
  const queue = queueOf(config.sources.log);
  const waits = new Waits();
  const opened: (() => Promise<void>)[] = [];
  const telling = new Set<ReturnType<typeof setTimeout>>();
  /** What is returned is for one connection: a component with several waits as long as one of them does. */
  const wait = (component: string) => {
    let open: { readonly wait: OpenWait; readonly timer: ReturnType<typeof setTimeout>; told: boolean } | undefined;
    return (reason: string | undefined) => {
      if (reason === undefined) {
        if (open === undefined) return;
        const { wait, timer, told } = open;
        open = undefined;
        wait[Symbol.dispose]();
        clearTimeout(timer);
        telling.delete(timer);
        if (told) options.onWaiting?.(component, undefined);
        return;
      }
      if (open !== undefined) return open.wait.say(reason);
      let said = reason;
      const wait = waits.begin({ component }, reason);
      const timer = setTimeout(() => {
        telling.delete(timer);
        mine.told = true;
        options.onWaiting?.(component, said);
      }, TELL_AFTER_MS);
      const mine = {
        wait: {
          ...wait,
          say: (reason: string, nextMs?: number) => {
            said = reason;
            wait.say(reason, nextMs);
          },
        },
        timer,
        told: false,
      };
      telling.add(timer);
      open = mine;
    };
  };
  /** One instance, made at the first call; a failure is not remembered. */
  const once = <T extends { close(): Promise<void> }>(make: () => Promise<T>): () => Promise<T> => {
    let made: Promise<T> | undefined;
    return () => {
      made ??= make().then((component) => {
        opened.push(() => component.close());
        return component;
      }, (error) => {
        made = undefined;
        throw error;
      });
      return made;
    };
  };
  /** An outage in the middle of a run is waited out; a wrong address is said soon. */
  const storeRetry = (component: string) => ({
    retry: {
      persistent: true,
      onRetry: (error: TidemarkError) => options.onRetry?.(component, error),
      onState: faultOf(wait(component)),
    },
  });
  let memory: UploadMemory | undefined;
  /** Of a store that is written to: all of them share the memory of their uploads. */
  const writing = async (component: string) => {
    const { createUploadMemory } = await import("../stores/objects/mod.ts");
    return { ...storeRetry(component), uploads: memory ??= createUploadMemory() };
  };
  let bucket: TokenBucket | undefined;
  const bandwidth = async () => {
    if (config.limits.bandwidth === 0) return undefined;
    const { createTokenBucket } = await import("../stores/objects/mod.ts");
    return bucket ??= createTokenBucket(config.limits.bandwidth);
  };

  const sinkMakers = new Map(
    Object.entries(config.sinks).map(([name, sink]) => [name, once(() => openSink(name, sink))] as const),
  );
  const sink = async (name: string): Promise<NamedSink> => {
    const make = sinkMakers.get(name);
    if (make === undefined) {
      throw new TidemarkError("config", `There is no sink ${name}`, {
        hint: `The configuration has ${[...sinkMakers.keys()].join(", ")}.`,
      });
    }
    return (await make()).named;
  };
  const openSink = async (name: string, sink: SinkConfig): Promise<{ named: NamedSink; close(): Promise<void> }> => {
    const named: NamedSink = sink.type === "milvus"
      ? { name, config: sink, sink: await openMilvus(name, sink) }
      : { name, config: sink, sink: await openBackup(name, sink) };
    return { named, close: () => named.sink.close() };
  };
  const openMilvus = async (name: string, sink: MilvusSinkConfig): Promise<RowSink> => {
    const { createMilvusSink } = await import("../sinks/milvus/mod.ts");
    const state = wait(`sinks.${name}`);
    const storage = await importStore(name, sink);
    return createMilvusSink({ ...sink, rbac: sink.rbac || config.transforms.rbac }, {
      name,
      widen: config.transforms.bad_rows === "widen",
      ...(storage === undefined ? {} : { storage }),
      ...(options.passed === undefined ? {} : { passed: options.passed }),
      onState: (now) => state(now.kind === "waiting" ? now.reason : undefined),
    });
  };
  /** Only a backup's files can be imported: those of a running source are compacted away while the target reads them. */
  const importStore = async (name: string, sink: MilvusSinkConfig): Promise<ObjectStore | undefined> => {
    if (config.sources.backup === undefined || sink.storage === undefined) return undefined;
    const [{ storeConfigOf }, { openObjectStore }] = await Promise.all([
      import("../sinks/milvus/mod.ts"),
      import("../stores/objects/mod.ts"),
    ]);
    return await openObjectStore(storeConfigOf(sink.storage), await writing(`sinks.${name}`));
  };
  const openBackup = async (name: string, sink: Extract<SinkConfig, { type: "backup" }>): Promise<ArchiveSink> => {
    const [{ createBackupSink }, { openBackupStore }] = await Promise.all([
      import("../sinks/backup/mod.ts"),
      import("../stores/encryption/mod.ts"),
    ]);
    const limit = await bandwidth();
    return createBackupSink(sink, {
      name,
      store: await openBackupStore(sink.storage, await writing(`sinks.${name}`)),
      pipeline: config.pipeline,
      program: options.program,
      queue,
      ...(options.passed === undefined ? {} : { passed: options.passed }),
      ...(limit === undefined ? {} : { bandwidth: limit }),
    });
  };

  return {
    config,
    waits,
    meta: once(async () => {
      const { openEtcdMeta } = await import("../sources/meta/mod.ts");
      return await openEtcdMeta(required(config.sources.meta, "meta"), {
        positions: positionsOf(queue),
        logQueue: queue,
        remembers: config.sources.log?.type === "files",
        onRetry: (error) => options.onRetry?.("sources.meta", error),
        onState: faultOf(wait("sources.meta")),
      });
    }),
    log: once(async () => {
      const topics = new Map<string, ReturnType<typeof wait>>();
      const stateOf = (topic: string) => {
        let state = topics.get(topic);
        if (state === undefined) topics.set(topic, state = wait("sources.log"));
        return state;
      };
      return await openLog(required(config.sources.log, "log"), {
        sources: config.sources,
        ...storeRetry("sources.log"),
        onState: (topic, reason) => stateOf(topic)(reason === undefined ? undefined : `${topic}: ${reason}`),
        onRetry: (error) => options.onRetry?.("sources.log", error),
        ...(options.onFetched === undefined ? {} : { onFetched: options.onFetched }),
      });
    }),
    binlogs: once(async () => {
      const { openBinlogSource, sharedReading } = await import("../sources/binlog/mod.ts");
      const limit = await bandwidth();
      return await openBinlogSource(required(config.sources.binlogs, "binlogs"), {
        ...storeRetry("sources.binlogs"),
        ...(limit === undefined ? {} : { bandwidth: limit }),
        reading: sharedReading(config.limits.base_parallelism),
        onGcTrouble: (error) => options.onRetry?.("sources.binlogs.gc", error),
      });
    }),
    backup: once(async () => {
      const { name, storage } = required(config.sources.backup, "backup");
      const [{ openBackupSource }, { sharedReading }, { openBackupStore }, { withBandwidth }] = await Promise.all([
        import("../sources/backup/mod.ts"),
        import("../sources/binlog/mod.ts"),
        import("../stores/encryption/mod.ts"),
        import("../stores/objects/mod.ts"),
      ]);
      const limit = await bandwidth();
      const store = await openBackupStore(storage, storeRetry("sources.backup"));
      try {
        return await openBackupSource(limit === undefined ? store : withBandwidth(store, limit), name, {
          reading: sharedReading(config.limits.base_parallelism),
        });
      } catch (error) {
        await store.close();
        throw error;
      }
    }),
    sink,
    sinks: () => Promise.all([...sinkMakers.keys()].map(sink)),
    state: once(async () => {
      const { openStateStore } = await import("../stores/state/mod.ts");
      return await openStateStore(config.state, stateName(config));
    }),
    flushed: once(async () => {
      const { log } = config.sources;
      const { address, token, token_file, tls } = required(log?.type === "files" ? log.flush : undefined, "log");
      const [{ createMilvusSink }, { milvusSinkSpec }] = await Promise.all([
        import("../sinks/milvus/mod.ts"),
        import("../sinks/milvus/spec.ts"),
      ]);
      return createMilvusSink(milvusSinkSpec.parse({ type: "milvus", address, token, token_file, tls }), {
        name: "sources.log.flush",
      });
    }),
    deadLetters: async () => {
      const { transforms, state } = config;
      const folder = transforms.dead_letters ??
        (state.type === "file" ? `${state.path}/${stateName(config)}.dead_letters` : undefined);
      if (folder === undefined) {
        throw new TidemarkError("config", "There is no folder for dead letters", { hint: DEAD_LETTERS_HINT });
      }
      const { createDeadLetters, createFileStore } = await import("../stores/mod.ts");
      return createDeadLetters({ store: createFileStore(folder), program: options.program });
    },
    backupStore: async (name) => {
      const found = config.sinks[name];
      if (found?.type !== "backup") throw new TidemarkError("config", `There is no sink ${name} of type backup`);
      const [{ openBackupStore }, { withBandwidth }] = await Promise.all([
        import("../stores/encryption/mod.ts"),
        import("../stores/objects/mod.ts"),
      ]);
      const limit = await bandwidth();
      const store = await openBackupStore(found.storage);
      return limit === undefined ? store : withBandwidth(store, limit);
    },
    [Symbol.asyncDispose]: async () => {
      for (const timer of telling) clearTimeout(timer);
      telling.clear();
      // The last opened first; one that cannot be closed must not keep the others open.
      const results = await Promise.allSettled(opened.splice(0).reverse().map((close) => close()));
      const failed = results.find((result) => result.status === "rejected");
      if (failed !== undefined) throw failed.reason;
    },
  };
}

function faultOf(state: (reason: string | undefined) => void): (error: TidemarkError | undefined) => void {
  return (error) => state(error?.message);
}

function required<T>(value: T | undefined, key: string): T {
  if (value !== undefined) return value;
  throw new TidemarkError(
    "config",
    key === "backup"
      ? "sources.backup is not configured: this pipeline reads a running Milvus"
      : `sources.${key} is not configured: this pipeline reads a backup`,
    { hint: "A copy reads sources.meta, log and binlogs; a restore reads sources.backup." },
  );
}
