/** The sink that writes into a running Milvus through its public API. */
import { TidemarkError } from "../../pipeline/errors.ts";
import type { ObjectStore, RowSink, TargetName, TargetState } from "../../pipeline/model/mod.ts";
import { LoadState } from "../../pipeline/proto/gen/common_pb.ts";
import { isNamed, readLoadState, unless } from "./actual.ts";
import { createBulkImport } from "./bulk_import.ts";
import { openChannel } from "./channel.ts";
import { logForm } from "./client_form.ts";
import { checkStorage, checkTarget } from "./check.ts";
import { createClient, METHOD } from "./client.ts";
import { channelOptions, loginUser, type ReadFile, readPasswords } from "./connection.ts";
import { databasesRefused } from "./database_right.ts";
import { createDescriber, targetText } from "./described.ts";
import { dropCollection, dropPartition, truncate } from "./destroy.ts";
import { plainStep } from "./reconcile/execute.ts";
import { type Features, featuresOf } from "./features.ts";
import { flushCollection } from "./flush.ts";
import { gapsOf } from "./plan/gaps.ts";
import { createPatience, type PatienceDeps, pause, type SinkState } from "./patience.ts";
import { countRows, readByPartitionKey, readRows } from "./query.ts";
import { createCollectionReconciler } from "./reconcile/collection.ts";
import { reconcileDatabases } from "./reconcile/databases.ts";
import { reconcileRbac } from "./reconcile/rbac.ts";
import { createRemover } from "./remove.ts";
import { createSlots } from "./slots.ts";
import type { MilvusSinkConfig } from "./spec.ts";
import { createWriter } from "./write.ts";

export interface MilvusSinkDeps extends Partial<PatienceDeps> {
  /** The sink's name in the config. */
  readonly name?: string;
  /** Called when the sink starts to wait for the target, with what it waits for, and when it goes on. */
  readonly onState?: (state: SinkState) => void;
  readonly readFile?: ReadFile;
  /** Give texts and arrays of the target all the room that Milvus has. */
  readonly widen?: boolean;
  /** Of `storage`, the whole bucket or folder; without it nothing is imported. Closed with the sink. */
  readonly storage?: ObjectStore;
  /** For tests: called where a process may be killed between two requests that belong together. */
  readonly passed?: (phase: "between_delete_and_insert") => void;
}

/**
 * A row sink over Milvus' public API. Connects at the first call. Calls wait as long as the target is away or asks to
 * slow down, until their signal fires (`check` does not wait). Throws `config` for files that cannot be read.
 */
export function createMilvusSink(config: MilvusSinkConfig, deps: MilvusSinkDeps = {}): RowSink {
  const readFile = deps.readFile ?? Deno.readFileSync;
  const options = channelOptions(config, readFile);
  const passwords = readPasswords(config.rbac_passwords_file, readFile);
  const user = loginUser(options.token);
  const wait = deps.pause ?? pause;
  let version: Promise<Features> | undefined;
  const patience = createPatience({
    now: deps.now ?? Date.now,
    random: deps.random ?? Math.random,
    pause: wait,
    onState: (state) => {
      // A server that was away may come back as another release.
      if (state.kind === "waiting") version = undefined;
      deps.onState?.(state);
    },
  });
  const client = createClient(openChannel(options), patience, config.timeout);
  const describer = createDescriber(client);
  const slots = createSlots(config.parallel_writes);

  function features(signal: AbortSignal): Promise<Features> {
    version ??= client.call(METHOD.getVersion, {}, { what: "ask for the version", db: "", signal })
      .then((answer) => featuresOf(answer.version))
      .catch((error) => {
        version = undefined;
        throw error;
      });
    return version;
  }

  const remover = createRemover(client, describer);
  const writer = createWriter({
    client,
    describer,
    features,
    remover,
    maxBatchBytes: config.max_batch_bytes,
    passed: deps.passed ?? (() => {}),
  });
  const reconciler = createCollectionReconciler({
    client,
    features,
    autoId: config.auto_id,
    replicas: config.replicas,
    load: config.load,
    resourceGroups: config.resource_groups,
    widen: deps.widen ?? false,
    shards: config.shards,
  });
  const { storage } = deps;
  const bulk = storage === undefined ? undefined : createBulkImport(config, { client, features, store: storage });

  /** Runs what changes a definition; whatever was cached of it is asked for anew afterwards. */
  async function changing<T>(targets: readonly (TargetName | undefined)[], work: Promise<T>): Promise<T> {
    try {
      return await work;
    } finally {
      for (const target of targets) if (target !== undefined) describer.forget(target);
    }
  }

  async function state(target: TargetName, signal: AbortSignal): Promise<TargetState> {
    const about = { dbName: target.db, collectionName: target.name };
    const request = { what: `describe ${targetText(target)}`, db: target.db, signal };
    const described = await unless(["not_found"], client.call(METHOD.describeCollection, about, request));
    if (described === undefined) return { exists: false, rows: 0n, loaded: false, partitions: [] };
    const [load, partitions] = await Promise.all([
      readLoadState(client, target, signal),
      client.call(METHOD.showPartitions, about, request),
    ]);
    const loaded = load === LoadState.LoadStateLoaded;
    const rows = loaded ? await countRows(client, target, undefined, signal) : await storedRows(target, signal);
    return { exists: true, rows, loaded, partitions: partitions.partitionNames };
  }

  async function identity(target: TargetName, signal: AbortSignal): Promise<string | undefined> {
    const about = { dbName: target.db, collectionName: target.name };
    const request = { what: `describe ${targetText(target)}`, db: target.db, signal };
    const described = await unless(["not_found"], client.call(METHOD.describeCollection, about, request));
    if (described?.schema === undefined || !isNamed(described, target.name)) return undefined;
    return described.collectionID === 0n ? "" : String(described.collectionID);
  }

  /**
   * Rows in the storage of a collection that is not loaded: an upper bound, since deleted and replaced rows count. What is
   * still buffered does not count, so a zero is believed only after a flush.
   */
  async function storedRows(target: TargetName, signal: AbortSignal): Promise<bigint> {
    for (const flushed of [false, true]) {
      if (flushed) await flushCollection(client, target, wait, signal);
      const answer = await client.call(
        METHOD.getCollectionStatistics,
        { dbName: target.db, collectionName: target.name },
        { what: `count the stored rows of ${targetText(target)}`, db: target.db, signal },
      );
      const rows = BigInt(answer.stats.find((one) => one.key === "row_count")?.value ?? "0");
      if (rows > 0n) return rows;
    }
    return 0n;
  }

  return {
    kind: "rows",
    name: deps.name ?? "milvus",
    bulk,
    check: async (signal) => [
      ...await checkTarget(client, user, config.timeout, signal),
      ...bulk === undefined ? [] : [await checkStorage(bulk, signal)],
    ],
    state,
    identity,
    gaps: async ({ source, target: name }, made, signal) => {
      const known = await features(signal);
      const there = made ? await unless(["not_found"], describer.describe(name, signal)) : undefined;
      const target = there === undefined ? undefined : {
        names: there.columns.union(there.functionOutputs),
        withDefault: new Set([...there.fields].flatMap(([name, { hasDefault }]) => hasDefault ? [name] : [])),
      };
      return { release: `Milvus ${known.version}`, gaps: gapsOf(source.schema, known, target) };
    },
    plan: async (wanted, signal) => (await reconciler.plan(wanted, undefined, "all", signal)).map(plainStep),
    reconcileDatabases: (wanted, drop, whose, gate, signal) =>
      reconcileDatabases(client, wanted, drop, whose, gate, signal),
    databasesRefused: (signal) => databasesRefused(client, { signal }),
    reconcile: (wanted, previous, parts, gate, signal) =>
      changing([wanted.target, previous], reconciler.reconcile(wanted, previous, parts, gate, signal)),
    reconcileRbac: async (catalog, whose, gate, signal) => {
      if (!config.rbac) return [];
      const options = { passwords, whose, mirror: config.rbac_mirror, self: user };
      return await reconcileRbac(client, catalog.rbac, options, gate, signal);
    },
    write: (request, signal) => slots.run(() => writer(request, signal)),
    remove: (request, signal) => slots.run(() => remover(request, signal)),
    dropCollection: (target, signal) => changing([target], dropCollection(client, target, signal)),
    dropPartition: (target, partition, signal) => changing([target], dropPartition(client, target, partition, signal)),
    truncate: async (target, signal) => {
      const known = await features(signal);
      await changing([target], truncate({ client, describer, features: known, target, signal }));
    },
    flush: async (targets, signal) => {
      await Promise.all(targets.map((target) => flushCollection(client, target, wait, signal)));
    },
    count: (target, partition, signal) => countRows(client, target, partition, signal),
    read: async function* ({ target }, selection, signal) {
      const collection = await describer.describe(target, signal);
      const outputFields = selection.outputFields ??
        [...collection.columns, ...(collection.hasDynamicField ? ["$meta"] : [])];
      const { partition, keys, partitionKeys, where } = selection;
      if (partition !== undefined && collection.hasPartitionKey) {
        throw new TidemarkError("refused", `${targetText(target)} has a partition key: it cannot be read by partition`);
      }
      if (partitionKeys !== undefined && !collection.hasPartitionKey) {
        throw new TidemarkError("refused", `${targetText(target)} has no partition key to read by`);
      }
      const options = { client, target, collection, partition, keys, where, outputFields, signal };
      const pages = partitionKeys === undefined ? readRows(options) : readByPartitionKey(options, partitionKeys);
      for await (const page of pages) yield { ...page, fieldsData: logForm(page.fieldsData, page.rows) };
    },
    close: async () => {
      await Promise.all([client.close(), storage?.close()]);
    },
  };
}
