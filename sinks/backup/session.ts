/** One backup being written. See the interface for what each method promises. */
import { toBinary } from "@bufbuild/protobuf";
import { create } from "@bufbuild/protobuf";
import { TidemarkError } from "../../pipeline/errors.ts";
import {
  type BackupSession,
  type BaseCollection,
  type BaseFacts,
  type BaseReport,
  type Cut,
  hybridFromMs,
  type HybridTs,
  type ObjectInfo,
  type ObjectStore,
  type Position,
  type Queue,
} from "../../pipeline/model/mod.ts";
import { positionsOf } from "../../pipeline/positions/mod.ts";
import { MsgPositionSchema } from "../../pipeline/proto/gen/msg_pb.ts";
import { CollectionSchemaSchema } from "../../pipeline/proto/gen/schema_pb.ts";
import {
  type BackedCollection,
  backupFolder,
  type BackupManifest,
  type BackupMeta,
  binlogFolder,
  catalogKey,
  checksumOf,
  encodeCatalogEntry,
  encodeManifest,
  encodeMeta,
  ledgerFolder,
  manifestKey,
  type ManifestObject,
  manifestsFolder,
  md5OfEtag,
  META_FILES,
  metaKey,
  type TokenBucket,
  writeAlteration,
  writeDrop,
  writeSilence,
} from "../../stores/mod.ts";
import { adoptLogFiles } from "./adopt.ts";
import { createLogArchive } from "./archive.ts";
import { createEtagTrust, readBack } from "./copy.ts";
import { openLedger } from "./ledger.ts";
import { NotedBefore } from "./noted_before.ts";
import { previousBase } from "./previous.ts";
import { type CopiedSegment, copySegmentFiles } from "./segment_copy.ts";
import { createSlots } from "./slots.ts";
import type { BackupSinkConfig } from "./spec.ts";
import { createSegmentRewriter } from "./storage_v2/rewriter.ts";
import { plural } from "../../pipeline/units/mod.ts";

export interface SessionOptions {
  readonly store: ObjectStore;
  readonly name: string;
  readonly config: Pick<
    BackupSinkConfig,
    "parallel" | "checksum" | "share" | "roll" | "log_archive" | "storage_format"
  >;
  readonly pipeline: string;
  /** Name and version of the program, for the files. */
  readonly program: string;
  readonly generation: 1 | 2;
  readonly queue: Queue;
  readonly base: BackupSession["base"];
  readonly startedMs: number;
  /** Of the base that is there already, or of now. */
  readonly baseTakenAtMs: number;
  readonly previous: BackupManifest | undefined;
  /** Of a base that is complete already. */
  readonly known: Pick<BaseFacts, "cuts" | "revision"> | undefined;
  /** Bytes in closed archive files when the session is opened. */
  readonly archiveBytes: bigint;
  readonly bandwidth: TokenBucket | undefined;
  readonly now: () => number;
  readonly uuid: () => string;
  readonly passed: (phase: BackupPhase) => void;
}

/** Moments between two steps of writing a backup. */
export type BackupPhase = "archive_roll" | "archive_rolled" | "backup_meta" | "backup_manifest" | "backup_complete";

export async function openSession(options: SessionOptions, signal: AbortSignal): Promise<BackupSession> {
  const { store, name, config, now, previous } = options;
  const ledger = await openLedger(store, name, signal);
  const unrecorded = new Map<string, ObjectInfo>();
  if (options.base === "partial") {
    for await (const info of listCopies(store, name, signal)) {
      const path = info.key.slice(backupFolder(name).length);
      if (ledger.get(path) === undefined) unrecorded.set(path, info);
    }
  }
  // A delta log of the base's own has a number that the source may have given to a log of the same segment since.
  const own = new Set(previous?.ownDeltas);
  const shared = new Map(
    (config.share === "never" ? [] : previous?.objects ?? []).filter(({ path }) => !own.has(path)).map((
      object,
    ) => [object.path, object]),
  );
  const serverSide = config.checksum === "auto" && store.location.startsWith("s3://")
    ? createEtagTrust(`${ledgerFolder(name)}probe`)
    : undefined;
  const context = {
    target: {
      store,
      name,
      previous: previous && shared.size > 0
        ? { name: previous.name, object: (path: string) => shared.get(path) }
        : undefined,
      bandwidth: options.bandwidth,
      serverSide,
    },
    ledger,
    slots: createSlots(config.parallel),
    unrecorded,
    now,
    createdBy: options.program,
  };
  const startOffset = (pchannel: string): Position | undefined => {
    const offsets = ((facts ?? options.known)?.cuts ?? []).filter((cut) => cut.pchannel === pchannel).map((
      { offset },
    ) => offset);
    return offsets.length === 0 ? undefined : offsets.reduce((min, offset) => offset < min ? offset : min);
  };
  const before = new NotedBefore(store, name);
  const archive = createLogArchive({
    store,
    name,
    queue: options.queue,
    roll: config.roll,
    createdBy: options.program,
    startOffset,
    now,
    passed: options.passed,
  });
  const segments = new Map<bigint, CopiedSegment>();
  const rewriter = createSegmentRewriter(context);
  let facts: BaseFacts | undefined;
  let base = options.base;
  let baseTakenAtMs = options.baseTakenAtMs;

  const session: BackupSession & { readonly store: ObjectStore } = {
    store,
    name,
    get base() {
      return base;
    },
    previous: previous && previousBase(store, previous),
    async begin(next) {
      if (base === "complete") {
        throw new TidemarkError("target_not_empty", `The base of backup ${name} is complete; it is not written again`, {
          hint: "Start a new backup under another name.",
        });
      }
      facts = next;
      base = "partial";
      baseTakenAtMs = next.takenAtMs;
    },
    async copySegment(segment, object, forgotten, signal, kept, contents) {
      const isRewritten = config.storage_format === "v2" && segment.manifestPath !== "";
      const copied = isRewritten
        ? await rewriter.rewrite(segment, { files: kept, contents }, forgotten, signal)
        : await copySegmentFiles(segment, object, forgotten, kept, context, signal);
      segments.set(segment.id, copied);
      return copied.result;
    },
    async finishBase(collections, failed, signal) {
      if (facts === undefined) throw new TidemarkError("unexpected", "finishBase was called before begin");
      await ledger.flush(true, signal);
      const backed = collections.map((collection) =>
        backedCollection(collection, segments, facts!.cuts, options.queue)
      );
      const kept = collections.flatMap(({ segmentIds }) => segmentIds.map((id) => segments.get(id)!));
      const paths = new Set(kept.flatMap((segment) => segment.paths));
      const copied = [...paths].map((path) => ledger.get(path)!).sort((a, b) => a.path < b.path ? -1 : 1);
      const { objects, removed } = await reconcileObjects(store, name, copied, signal);
      const report = await writeMeta(backed, kept, objects, failed, facts, signal);
      base = "complete";
      options.passed("backup_complete");
      await ledger.remove(signal);
      return { ...report, removed };
    },

    progress: (pchannel, signal) => archive.progress(pchannel, signal),
    appendLog: (pchannel, records, resume, signal) => archive.append(pchannel, records, resume, signal),
    durable: (pchannel) => archive.durable(pchannel),
    isDurable: (pchannel) => archive.isDurable(pchannel),
    gap: (pchannel, from, to, reason) => archive.gap(pchannel, { from, to, reason }),
    async noteCatalog(revision, catalog, signal, since = hybridFromMs(now())) {
      const whole = await before.instead(catalog, signal);
      const entry = encodeCatalogEntry(name, { revision, ts: since, catalog: whole });
      await store.put(catalogKey(name, revision), utf8(entry), {}, signal);
    },
    async noteDrops(drops, signal) {
      for (const [id, ts] of drops) await writeDrop(store, name, id, ts, signal);
    },
    async noteAlterations(alterations, signal) {
      for (const alteration of alterations) await writeAlteration(store, name, alteration, signal);
    },
    async noteSilences(silences, signal) {
      for (const [pchannel, silence] of silences) await writeSilence(store, name, pchannel, silence, signal);
    },
    rollDue: (nowMs, signal) => archive.rollDue(nowMs, signal),
    flushLog: (signal) => archive.flush(signal),
    async adoptLog(from, signal) {
      const known = facts ?? options.known;
      if (known === undefined) throw new TidemarkError("unexpected", "adoptLog was called before begin");
      await from.flushLog(signal);
      for (const pchannel of await adoptLogFiles(store, from.name, name, known, signal)) archive.reread(pchannel);
    },
    get archiveBytes() {
      return options.archiveBytes + archive.bytes;
    },
    get baseTakenAtMs() {
      return baseTakenAtMs;
    },
    async close() {
      if (base !== "complete") await ledger.flush(true);
    },
  };
  return session;

  async function writeMeta(
    backed: readonly BackedCollection[],
    kept: readonly CopiedSegment[],
    objects: readonly ManifestObject[],
    failed: Parameters<BackupSession["finishBase"]>[1],
    facts: BaseFacts,
    signal: AbortSignal,
  ): Promise<Omit<BaseReport, "removed">> {
    const { catalog } = facts;
    const used = new Set(backed.map(({ collection }) => collection.dbName));
    const whole = catalog.collections.every(({ id }) => facts.collectionIds.includes(id));
    const { rbac } = catalog;
    const empty = rbac.users.length + rbac.roles.length + rbac.grants.length + rbac.privilegeGroups.length === 0;
    const meta: BackupMeta = {
      id: options.uuid(),
      name,
      milvusVersion: facts.serverVersion === "" ? "" : `v${facts.serverVersion}`,
      backupTs: facts.exactFrom,
      format: "",
      databases: catalog.databases.filter((database) => whole || used.has(database.name)),
      rbac: empty ? undefined : rbac,
      collections: backed,
    };
    const texts = encodeMeta(meta, {
      pipeline: options.pipeline,
      taken_ms: facts.takenAtMs,
      exact_from: facts.exactFrom,
      log_archive: config.log_archive,
      collections: backed.length,
      rows: kept.reduce((sum, { backed: { rows } }) => sum + rows, 0n),
      previous: previous?.name ?? "",
      failed: failed.length,
    });
    const encoded = META_FILES.map((file) => ({
      key: metaKey(name, file),
      path: `meta/${file}.json`,
      bytes: utf8(texts[file]),
    }));
    const all: ManifestObject[] = [
      ...objects,
      ...encoded.map(({ path, bytes }) => ({ path, size: BigInt(bytes.length), sum: checksumOf(bytes) })),
    ];
    const sharedBytes = kept.reduce((sum, { result }) => sum + result.sharedBytes, 0n);
    const manifest: BackupManifest = {
      name,
      pipeline: options.pipeline,
      writtenBy: options.program,
      generation: options.generation,
      queue: options.queue,
      source: {
        clusterId: facts.clusterId,
        serverVersion: facts.serverVersion,
        revision: facts.revision,
        takenAtMs: facts.takenAtMs,
      },
      startedMs: options.startedMs,
      finishedMs: now(),
      previous: previous?.name ?? "",
      logArchive: config.log_archive,
      exactFrom: facts.exactFrom,
      cuts: facts.cuts,
      collections: backed.map(({ collection }) => ({
        id: collection.id,
        name: `${collection.dbName}.${collection.name}`,
        schema: toBinary(CollectionSchemaSchema, collection.schema),
        startOffsets: collection.startOffsets,
      })),
      failed,
      findings: facts.findings,
      ownDeltas: kept.flatMap(({ ownDelta }) => ownDelta === undefined ? [] : [ownDelta]),
      knownDeletes: facts.knownDeletes,
      segments: kept.flatMap((segment) => segment.kept ?? []),
      sharedBytes,
      objects: all,
    };
    options.passed("backup_meta");
    for (const { key, bytes } of encoded.slice(0, -1)) await store.put(key, bytes, {}, signal);
    await store.put(manifestKey(name), utf8(encodeManifest(manifest)), {}, signal);
    options.passed("backup_manifest");
    const last = encoded[encoded.length - 1]!;
    try {
      await store.put(last.key, last.bytes, { ifAbsent: true }, signal);
    } catch (error) {
      if (!(error instanceof TidemarkError && error.code === "refused")) throw error;
      const there = await store.get(last.key, undefined, signal);
      if (checksumOf(there) !== checksumOf(last.bytes)) {
        throw new TidemarkError("locked", `Backup ${name} was finished by another run`, {
          hint: "Only one run may write a backup: give this one another name.",
          cause: error,
        });
      }
    }
    return { name, objects: all.length, bytes: all.reduce((sum, { size }) => sum + size, 0n), sharedBytes };
  }
}

function backedCollection(
  { collection, segmentIds }: BaseCollection,
  segments: ReadonlyMap<bigint, CopiedSegment>,
  cuts: readonly Cut[],
  queue: Queue,
): BackedCollection {
  const own = cuts.filter(({ collectionId }) => collectionId === collection.id);
  const backupTs = own.reduce<HybridTs>((max, { ts }) => ts > max ? ts : max, 0n);
  return {
    collection,
    // A segment without rows has no folder; naming it would make a restore look for one.
    segments: segmentIds.map((id) => {
      const copied = segments.get(id);
      if (copied === undefined) {
        throw new TidemarkError("damaged", `Segment ${id} of ${collection.dbName}.${collection.name} was not copied`);
      }
      return copied.backed;
    }).filter(({ binlogs, deltalogs, isL0 }) => binlogs.length > 0 || (isL0 && deltalogs.length > 0)),
    checkpoints: new Map(own.map((cut) => [cut.vchannel, positionOf(cut, queue)])),
    backupTs,
  };
}

function positionOf({ vchannel, offset, ts }: Cut, queue: Queue): Uint8Array {
  const msgID = positionsOf(queue).toMilvus(offset);
  return toBinary(MsgPositionSchema, create(MsgPositionSchema, { channelName: vchannel, msgID, timestamp: ts }));
}

/**
 * Compares what lies below `binlogs/` and `manifests/` with what the metadata will name. A file too many (of an earlier attempt whose segment
 * was compacted since) goes: every child of a group folder would be taken for a segment. One too few or too short is damage.
 * Where the copy's ETag is not its source's, the source's was no MD5: the copy is read for a checksum.
 */
async function reconcileObjects(
  store: ObjectStore,
  name: string,
  objects: readonly ManifestObject[],
  signal: AbortSignal,
): Promise<{ readonly objects: readonly ManifestObject[]; readonly removed: string[] }> {
  const checked = new Map(objects.map((object) => [object.path, object]));
  const wanted = new Map(objects.map((object) => [object.path, object]));
  const surplus: string[] = [];
  for await (const { key, size, etag } of listCopies(store, name, signal)) {
    const path = key.slice(backupFolder(name).length);
    const object = wanted.get(path);
    if (object === undefined) surplus.push(path);
    else if (object.size === size) {
      wanted.delete(path);
      if (object.sum.startsWith("md5:") && etag !== "" && md5OfEtag(etag) !== object.sum) {
        checked.set(path, { ...object, sum: await readBack(store, key, size, signal) });
      }
    }
  }
  const missing = wanted.keys().next().value;
  if (missing !== undefined) {
    throw new TidemarkError(
      "damaged",
      `${wanted.size} ${plural(wanted.size, "file")} of backup ${name} ${
        plural(wanted.size, "is", "are")
      } missing or too short, first ${missing}`,
      {
        hint: "Something else writes into the backup's folder: find it, then run again.",
      },
    );
  }
  await store.delete(surplus.map((path) => `${name}/${path}`), signal);
  return { objects: [...checked.values()], removed: surplus };
}

async function* listCopies(store: ObjectStore, name: string, signal: AbortSignal): AsyncIterable<ObjectInfo> {
  yield* store.list(binlogFolder(name), signal);
  yield* store.list(manifestsFolder(name), signal);
}

function utf8(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}
