/**
 * What a run must remember to go on after a crash, as one JSON document: source coordinates only. The target is never
 * asked where the run was; what was written after the last checkpoint is written again, as upserts.
 */
import { TidemarkError } from "../../errors.ts";
import { formatJson, type Json, parseJson } from "../../json.ts";
import type {
  AgreedColumn,
  BasesStatus,
  Collection,
  HybridTs,
  Position,
  Queue,
  ResumePoint,
  TargetName,
} from "../../model/mod.ts";
import { isQueue, restorePosition } from "../../positions/mod.ts";
import { type RefusedRow, RefusedRows } from "./refused_rows.ts";

export const STATE_VERSION = 1;

/**
 * `creating`: the target object is about to be made by this run (it did not exist when this was written);
 * `base`: rows are being copied; `tail`: the base is complete; `dropped`: it was dropped on the target, or given up there.
 */
export type CollectionPhase = "creating" | "base" | "tail" | "dropped";

/**
 * Segments that the target takes by one bulk import. `asked`: the import may have been asked for, its number is not known yet;
 * `started`: it is under way by the number `task`; `completed`: its rows are there.
 */
export interface ImportUnit {
  readonly partition: string;
  readonly segments: readonly bigint[];
  /** Paths as the target sees them. */
  readonly inserts: string;
  readonly deletes: string;
  /** Unix ms of the last moment that counts; 0: all does. */
  readonly endMs: bigint;
  /** Rows that the target must take. */
  readonly rows: bigint;
  readonly bytes: bigint;
  phase: "planned" | "asked" | "started" | "completed";
  task: bigint;
}

/** What a copy without a log must know of its last cut, beside the cuts themselves. */
export interface FilesState {
  /** Live segments of then: all their rows up to the cut were seen. */
  segments: bigint[];
  /**
   * Others whose deletes must be found: of a step, or of a base, that may have been cut short, since rows of them may be on the
   * target; and dropped ones with deletes that are later than the cut.
   */
  begun: bigint[];
  /** Of the source. */
  partitions: { readonly id: bigint; readonly name: string }[];
  /** vchannel -> the truncation that was done last. */
  truncated: Record<string, HybridTs>;
}

/** One source collection on one sink. Identity is the source's collection id. */
export interface CollectionState {
  id: bigint;
  /** Source name at the last reconcile, for people. */
  source: TargetName;
  target: TargetName;
  /** Which collection of the target it is, by the target's own reckoning; empty: not known. */
  identity: string;
  /** Names of the partitions that are there. */
  partitions: string[];
  /** What of it the run made, as texts of things. Noted before it is made. */
  made: Set<string>;
  /** The state is of a version that did not note that: what is there as it is wanted is taken for the run's, once. */
  adopt: boolean;
  /** Set while the target is asked for a rename: it has the collection under this name or under `target`. */
  renaming: TargetName | undefined;
  /** The source collection's vchannels: who takes part in its barriers, also after it is gone from the metadata. */
  vchannels: readonly string[];
  phase: CollectionPhase;
  /** Segments whose base rows are on the target. Emptied when the base is complete. */
  segmentsDone: bigint[];
  /** Segments whose rows were begun; after a crash they are written as upserts. */
  segmentsBegun: bigint[];
  rows: bigint;
  duplicates: bigint;
  /** Rows that the log brought without a delete of their key right before them. Undefined: the state is of a version that did not count. */
  plainInserts?: bigint | undefined;
  /** Partition -> the target's words, where it refused to make it in this run. Not saved: the next one asks again. */
  partitionsRefused: Map<string, string>;
  /** Source partitions that were dropped on the target by a barrier. */
  partitionsDropped: bigint[];
  /** Broadcasts of the source's log whose change is on the target, the last of them: the copies on other channels change nothing. */
  broadcastsDone: bigint[];
  /** Imports whose rows are on the target. */
  importsDone: bigint[];
  /** Segments that imports filled and whose rows are on the target; undefined: the state is of a version that did not note them. */
  importSegments: bigint[] | undefined;
  /** pchannel -> the log was applied up to there, or less, when the last of them was loaded. Undefined: none was. */
  importsUpTo?: Record<string, HybridTs> | undefined;
  /** Imports of the source that were seen and are not completed, with the segments that they had. */
  importsUnderWay: { readonly id: bigint; readonly segmentIds: readonly bigint[] }[];
  /** Rows of forgotten imports that are to be brought, by their time and the segments that held them when they were found. */
  importsFound: { readonly ts: HybridTs; readonly segmentIds: readonly bigint[]; readonly rows: bigint }[];
  /** Bulk imports of this base, in the order in which they are asked for. Emptied when the base is complete. */
  importUnits: ImportUnit[];
  /** Folder of the target's storage that holds what only these imports need; empty: there is none. */
  importFolder: string;
  /** Why the rows are written one by one though the sink could import; empty: nothing is against an import. */
  byRows: string;
  /** What of its indexes and its load state the target refused last, which is tried again; empty: nothing. */
  refused: string;
  /** Rows that the target refused: held until a run can write them, or put aside as dead letters. */
  refusedRows: RefusedRows;
  /** What becomes of columns that the target does not take as they are. */
  agreed: readonly AgreedColumn[];
  /** Undefined where a log is followed. */
  files: FilesState | undefined;
  /** Why the collection is held; its vchannels keep their own resume points until the next run tries again. */
  blocked: string | undefined;
}

/** Where one vchannel starts: events with ts <= `ts` are on the target already. */
export interface VchannelState {
  vchannel: string;
  pchannel: string;
  collectionId: bigint;
  offset: Position;
  ts: HybridTs;
  /** True while it is behind its pchannel's position: new, or blocked. */
  held: boolean;
}

export interface SinkState {
  collections: Map<bigint, CollectionState>;
  /** Databases that the run carries: the source's id -> name on the target. */
  databases: Map<bigint, string>;
  /** pchannel -> where to go on. */
  positions: Map<string, ResumePoint>;
  vchannels: Map<string, VchannelState>;
  /** Of a backup sink: how its bases went. */
  bases: BasesState | undefined;
  /** What the run made beside collections: databases, users, roles, grants. As texts of things. */
  made: Set<string>;
  /** Sink's own facts (an archive's ledger key, …), opaque to the flow. */
  extra: Json;
}

export type BasesState = Omit<BasesStatus, "sink">;

export interface RunState {
  version: number;
  pipeline: string;
  clusterId: string;
  /** Whose places the positions are. */
  queue: Queue;
  /** Revision of the snapshot of the last start. */
  revision: bigint;
  startedAt: string;
  savedAt: string;
  topicIds: Map<string, string>;
  sinks: Map<string, SinkState>;
  /** Of a restore: how its end was asked for, and the moment that this meant when it began; 0 for the base alone. */
  restore: { asked: string; ts: HybridTs } | undefined;
  /** The last status, for `tidemark status` in another process. */
  status: Json;
}

export function newRunState(pipeline: string, clusterId: string, now: Date): RunState {
  return {
    version: STATE_VERSION,
    pipeline,
    clusterId,
    queue: "kafka",
    revision: 0n,
    startedAt: now.toISOString(),
    savedAt: "",
    topicIds: new Map(),
    sinks: new Map(),
    restore: undefined,
    status: null,
  };
}

export function newSinkState(): SinkState {
  return {
    collections: new Map(),
    databases: new Map(),
    positions: new Map(),
    vchannels: new Map(),
    bases: undefined,
    made: new Set(),
    extra: null,
  };
}

/** Of a collection that is kept under its own name. */
export function ownCollectionState(
  { id, dbName, name, vchannels }: Collection,
  phase: CollectionPhase,
): CollectionState {
  const own = { db: dbName, name };
  return newCollectionState(id, own, own, vchannels, phase);
}

export function newCollectionState(
  id: bigint,
  source: TargetName,
  target: TargetName,
  vchannels: readonly string[],
  phase: CollectionPhase,
): CollectionState {
  return {
    id,
    source,
    target,
    identity: "",
    partitions: [],
    made: new Set(),
    adopt: false,
    renaming: undefined,
    vchannels,
    phase,
    segmentsDone: [],
    segmentsBegun: [],
    rows: 0n,
    duplicates: 0n,
    plainInserts: 0n,
    partitionsRefused: new Map(),
    partitionsDropped: [],
    broadcastsDone: [],
    importsDone: [],
    importSegments: [],
    importsUnderWay: [],
    importsFound: [],
    importUnits: [],
    importFolder: "",
    byRows: "",
    refused: "",
    refusedRows: new RefusedRows(),
    agreed: [],
    files: undefined,
    blocked: undefined,
  };
}

/** Throws `damaged` for a document that is not one of ours, `unsupported` for one of a newer version. */
export function parseRunState(text: string, location: string): RunState {
  let raw: Json;
  try {
    raw = parseJson(text, { bigint: "all" });
  } catch (cause) {
    throw damaged(location, "it is not JSON", cause);
  }
  if (raw === null || typeof raw !== "object" || Array.isArray(raw)) throw damaged(location, "it is not a JSON object");
  const version = raw.version;
  if (typeof version !== "bigint") throw damaged(location, "it has no version");
  if (version > BigInt(STATE_VERSION)) {
    throw new TidemarkError(
      "unsupported",
      `The state ${location} was written by a newer Tidemark (version ${version})`,
      {
        hint: "Run the newer Tidemark, or point `state` to another place to start over.",
      },
    );
  }
  try {
    const queue = queueOf(raw.queue, location);
    const sinks = new Map<string, SinkState>();
    for (const [name, sink] of Object.entries(raw.sinks as Record<string, Record<string, Json>>)) {
      sinks.set(name, parseSink(sink, queue, location));
    }
    return {
      version: STATE_VERSION,
      pipeline: raw.pipeline as string,
      clusterId: raw.clusterId as string,
      queue,
      revision: raw.revision as bigint,
      startedAt: raw.startedAt as string,
      savedAt: raw.savedAt as string,
      topicIds: new Map(Object.entries(raw.topicIds as Record<string, string>)),
      sinks,
      restore: (raw.restore ?? undefined) as RunState["restore"],
      status: raw.status ?? null,
    };
  } catch (cause) {
    if (cause instanceof TidemarkError) throw cause;
    throw damaged(location, "a part of it is missing", cause);
  }
}

/** What states of earlier versions lack: nothing was imported, no rename was under way, nothing noted of what was made. */
type Imports = "importUnits" | "importFolder" | "importSegments" | "importsUnderWay" | "importsFound" | "byRows";
type Late = "renaming" | "identity" | "partitions" | "adopt" | "broadcastsDone" | "refused" | "agreed" | "files";
type Later = Pick<CollectionState, Imports | Late> & { readonly made: readonly string[] };
type Stored = Omit<CollectionState, keyof Later | "refusedRows" | "partitionsRefused"> & Partial<Later> & {
  readonly refusedRows?: RefusedRow[];
};

/** States from before there was more than one queue do not say it. */
function queueOf(name: Json | undefined, location: string): Queue {
  if (name === undefined) return "kafka";
  if (typeof name === "string" && isQueue(name)) return name;
  throw damaged(location, `its queue is ${formatJson(name)}`);
}

function parseSink(raw: Record<string, Json>, queue: Queue, location: string): SinkState {
  const place = <T extends { offset: unknown }>(item: T) => ({
    ...item,
    offset: restorePosition(item.offset, queue, `The state ${location}`),
  });
  const collections = (raw.collections as unknown as Stored[])
    .map((item): [bigint, CollectionState] => [item.id, {
      ...item,
      identity: item.identity ?? "",
      partitions: item.partitions ?? [],
      made: new Set(item.made ?? ["collection"]),
      adopt: item.adopt ?? item.made === undefined,
      renaming: item.renaming ?? undefined,
      broadcastsDone: item.broadcastsDone ?? [],
      importSegments: item.importSegments ?? undefined,
      importsUnderWay: item.importsUnderWay ?? [],
      importsFound: item.importsFound ?? [],
      importUnits: item.importUnits ?? [],
      importFolder: item.importFolder ?? "",
      byRows: item.byRows ?? "",
      refused: item.refused ?? "",
      refusedRows: new RefusedRows(item.refusedRows),
      agreed: item.agreed ?? [],
      partitionsRefused: new Map(),
      files: item.files ?? undefined,
      blocked: item.blocked ?? undefined,
    }]);
  const vchannels = (raw.vchannels as unknown as VchannelState[]).map((item) => [item.vchannel, place(item)] as const);
  const databases = (raw.databases ?? []) as unknown as { id: bigint; name: string }[];
  return {
    collections: new Map(collections),
    databases: new Map(databases.map(({ id, name }) => [id, name])),
    positions: new Map(
      Object.entries(raw.positions as unknown as Record<string, ResumePoint>).map((
        [name, point],
      ) => [name, place(point)]),
    ),
    vchannels: new Map(vchannels),
    bases: basesOf(raw.bases),
    made: new Set((raw.made ?? []) as string[]),
    extra: raw.extra ?? null,
  };
}

/** This is a count; integers are read as of any size. */
function basesOf(raw: Json | undefined): BasesState | undefined {
  if (raw === undefined || raw === null) return undefined;
  const { failures, ...rest } = raw as unknown as Omit<BasesState, "failures"> & { readonly failures: bigint };
  return { ...rest, failures: Number(failures) };
}

function damaged(location: string, why: string, cause?: unknown): TidemarkError {
  return new TidemarkError("damaged", `The state ${location} cannot be read: ${why}`, {
    hint:
      "Restore it from a copy, or remove it to start over with a full copy (set on_existing of the sink to replace or merge).",
    cause,
  });
}
