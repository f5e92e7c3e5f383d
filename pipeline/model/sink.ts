/**
 * What the pipeline asks of its sinks. A row sink takes rows and operations (a target Milvus); an archive sink takes
 * files and raw records (a backup). Sinks write and acknowledge: a promise that resolves means that it is durable there.
 */
import type { TargetGaps } from "./agreed.ts";
import type { BulkImport } from "./bulk_import.ts";
import type { CheckLine } from "./check.ts";
import type { Catalog } from "./catalog.ts";
import type { Keys } from "./column.ts";
import type { Thing, Whose } from "./ownership.ts";
import type { OwnedCollection, TargetName, WantedCollection } from "./target.ts";

export interface WriteRequest {
  readonly collectionId: bigint;
  readonly target: TargetName;
  /** Name of the partition on source and target; ignored for collections with a partition key. */
  readonly partition: string;
  /** `insert` only where no row of these keys can be there yet; `upsert` otherwise. */
  readonly mode: "insert" | "upsert";
  readonly rows: number;
  /** Serialised schema.FieldData messages, one a column; keys are unique within the request. */
  readonly fieldsData: readonly Uint8Array[];
  /**
   * Given: rows that the target refuses for what they hold are told here, once, before the write resolves; all others are
   * written. Left out: one such row lets the whole write throw `refused`.
   */
  readonly refused?: (rows: readonly RowRefusal[]) => void;
}

/** A row that the target does not take. */
export interface RowRefusal {
  /** Its index in the request. */
  readonly row: number;
  /** Why, as the end of a sentence about the row; field, length and limit are named, the value is not repeated. */
  readonly reason: string;
}

export interface RemoveRequest {
  readonly collectionId: bigint;
  readonly target: TargetName;
  /** Undefined: in all partitions. */
  readonly partition: string | undefined;
  readonly keys: Keys;
  /**
   * Given: keys whose delete the target refuses for what they are are told here, once, by their index, before the delete
   * resolves; all others are deleted. Left out: one such key lets the whole delete throw `refused`.
   */
  readonly refused?: (keys: readonly RowRefusal[]) => void;
}

/** A DDL kind, as `transforms.ddl.include` / `exclude` name it. */
export type DdlKind =
  | "create_database"
  | "drop_database"
  | "alter_database"
  | "create_collection"
  | "drop_collection"
  | "rename_collection"
  | "alter_collection"
  | "truncate_collection"
  | "create_partition"
  | "drop_partition"
  | "create_index"
  | "drop_index"
  | "alter_index"
  | "create_alias"
  | "drop_alias"
  | "alter_alias"
  | "load"
  | "release"
  | "flush"
  | "rbac";

/** One change that brings the target nearer to what is wanted. `sentence` reads like "Create index vec_idx (HNSW, L2) on sales.items.vec". */
export interface DdlStep {
  readonly kind: DdlKind;
  readonly collectionId: bigint | undefined;
  readonly sentence: string;
  /** Destroys rows or objects: drop, truncate. */
  readonly destructive: boolean;
  /** Name of a partition that is to be made. */
  readonly partition?: string;
  /** Queries of the target fail while it is tried: not to be repeated often. */
  readonly disturbs?: boolean;
  /** What it makes: the run notes it before it is made. */
  readonly makes?: readonly Thing[];
  /** What is not there any more when it is done. */
  readonly ends?: readonly Thing[];
  /** A thing that the run did not make is in the way. */
  readonly foreign?: ForeignThing;
  /** Why the target may refuse it: beyond what its release takes by default. */
  readonly doubts?: readonly string[];
  /** Why nothing in the target's API does it: known before it is tried. */
  readonly impossible?: string;
}

/**
 * `left` as it is, so the step is not done; `held`: nor is anything done that depends on it; `taken`, because the
 * configuration says so. A whole sentence says what it is.
 */
export interface ForeignThing {
  readonly fate: "left" | "held" | "taken";
  readonly words: string;
}

export interface DdlOutcome extends DdlStep {
  readonly result: "applied" | "refused" | "skipped";
  /** The server's words where it refused; why where it was skipped. */
  readonly detail: string;
  /** It was refused for a reason that passes by itself: the server is away, was just started, asks to slow down. */
  readonly passing?: boolean;
}

/** Decides for each step whether it is to be done; the sink asks before each, but not of what is {@link ForeignThing left}. */
export type DdlGate = (step: DdlStep) => "apply" | "skip" | Promise<"apply" | "skip">;

/** What a collection is on the target, from the target's own description. */
export interface TargetState {
  readonly exists: boolean;
  readonly rows: bigint;
  readonly loaded: boolean;
  /** True if the run's own marker says that it was created for this source collection. */
  readonly partitions: readonly string[];
}

export interface RowSink {
  readonly kind: "rows";
  readonly name: string;
  /** Undefined where rows are all that it takes. */
  readonly bulk: BulkImport | undefined;
  check(signal: AbortSignal): Promise<CheckLine[]>;
  /** What the target has under that name. Counts rows; to know whether it is there, ask for its {@link identity}. */
  state(target: TargetName, signal: AbortSignal): Promise<TargetState>;
  /**
   * Which collection of the target has that name: the same text as long as it lives, whatever its name, another one once it
   * was dropped and made anew; empty where the target does not tell. Undefined: none has it; an alias is none.
   */
  identity(target: TargetName, signal: AbortSignal): Promise<string | undefined>;
  /**
   * What the target cannot take of a collection as it is on the source, by its release. `made`: it has the collection, so
   * that fields can only be added. Left out: it takes everything.
   */
  gaps?(wanted: WantedCollection, made: boolean, signal: AbortSignal): Promise<TargetGaps>;
  /** The steps that `reconcile` would take now, in order; changes nothing. */
  plan(wanted: OwnedCollection, signal: AbortSignal): Promise<DdlStep[]>;
  /**
   * Brings databases to what the catalog says (create, alter; drop only the ones in `drop`). Without properties a database
   * is only created where it is missing.
   */
  reconcileDatabases(
    wanted: readonly { readonly name: string; readonly properties: Readonly<Record<string, string>> | undefined }[],
    drop: readonly string[],
    whose: Whose,
    gate: DdlGate,
    signal: AbortSignal,
  ): Promise<DdlOutcome[]>;
  /** Why it does not let its user create databases; undefined: it does, or nobody knows. Changes nothing. */
  databasesRefused?(signal: AbortSignal): Promise<string | undefined>;
  /**
   * Creates what is missing of one collection and alters what differs: schema parts the target can change, partitions,
   * indexes, aliases, properties, load state. `previous` is the name under which the target has it so far (rename).
   * `parts` limits it: `structure` = collection and partitions only, as needed before rows; `all` also indexes, aliases, load.
   * Never drops a collection or a partition: that is `barrier`'s. Touches only what `wanted.whose` says the run made.
   */
  reconcile(
    wanted: OwnedCollection,
    previous: TargetName | undefined,
    parts: "structure" | "all",
    gate: DdlGate,
    signal: AbortSignal,
  ): Promise<DdlOutcome[]>;
  /** Roles, grants, users, privilege groups: what the run made, or everything where the sink mirrors. */
  reconcileRbac(catalog: Catalog, whose: Whose, gate: DdlGate, signal: AbortSignal): Promise<DdlOutcome[]>;
  write(request: WriteRequest, signal: AbortSignal): Promise<void>;
  remove(request: RemoveRequest, signal: AbortSignal): Promise<void>;
  dropCollection(target: TargetName, signal: AbortSignal): Promise<void>;
  dropPartition(target: TargetName, partition: string, signal: AbortSignal): Promise<void>;
  /** Deletes every row, keeps the definition. */
  truncate(target: TargetName, signal: AbortSignal): Promise<void>;
  flush(targets: readonly TargetName[], signal: AbortSignal): Promise<void>;
  /** Number of rows now, all acknowledged writes included. */
  count(target: TargetName, partition: string | undefined, signal: AbortSignal): Promise<bigint>;
  /**
   * All rows of a collection, or those of the given keys, with all columns, in pages; all acknowledged writes included.
   * `partitionKeys`: instead what a user finds who asks for one of these values of the partition key after the other, which
   * need not be every row that has it; each page says of which value it is. `where`: only rows for which this expression
   * of Milvus' grammar holds.
   * The collection must be loaded; where it is not, throws `refused` with the sentence that says so.
   */
  read(
    collection: WantedCollection,
    selection: {
      readonly partition?: string;
      readonly keys?: Keys;
      readonly partitionKeys?: readonly (bigint | string)[];
      readonly where?: string;
      readonly outputFields?: readonly string[];
    },
    signal: AbortSignal,
  ): AsyncIterable<{
    readonly rows: number;
    readonly fieldsData: readonly Uint8Array[];
    readonly partitionKey?: bigint | string;
  }>;
  close(): Promise<void>;
}
