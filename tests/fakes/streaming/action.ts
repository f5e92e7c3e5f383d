/** What a proxy or a coordinator asks a streaming node to write, and the message that comes of it. */
import type { HybridTs } from "../../../pipeline/model/mod.ts";
import type { Row } from "../world/files.ts";

/** Where something happens. */
export interface Place {
  readonly collection: bigint;
  readonly name: string;
  readonly db: string;
  readonly dbId: bigint;
  readonly partition: bigint;
  readonly partitionName: string;
}

/** One of the copies of a change that goes to several vchannels; without a broadcast as it was before 2.6.5. */
export interface Change extends Place {
  readonly kind:
    | "create_collection"
    | "drop_collection"
    | "create_partition"
    | "drop_partition"
    | "truncate_collection"
    | "alter_collection"
    | "import"
    | "commit_import";
  readonly broadcast?: { readonly id: bigint; readonly vchannels: readonly string[] };
  readonly vchannels?: readonly string[];
  readonly pchannels?: readonly string[];
  readonly job?: bigint;
  readonly altered?: Altered;
}

/** What an `alter_collection` changes; `columns`: how many its schema has now that were added. */
export interface Altered {
  readonly columns?: number;
  readonly name?: string;
  readonly db?: { readonly id: bigint; readonly name: string };
  readonly properties?: Readonly<Record<string, string>>;
}

/** Name of an added column; its field has the id 102 and so on, and holds what the value does. */
export function addedColumn(i: number): string {
  return `added_${i}`;
}

interface Insert extends Place {
  readonly kind: "insert";
  readonly segment: bigint;
  readonly rows: readonly Row[];
  /** Columns that were added to the collection. */
  readonly columns?: number;
  /** By the proxy, which nobody may believe. */
  readonly clock: HybridTs;
  readonly msgId: bigint;
}

/** Of partition -1: in all of them. */
interface Delete extends Place {
  readonly kind: "delete";
  readonly keys: readonly bigint[];
  readonly clock: HybridTs;
  readonly msgId: bigint;
}

export type Asked =
  | { readonly kind: "tick" | "begin" | "commit" | "rollback" }
  | Insert
  | Delete
  | (Place & { readonly kind: "create_segment"; readonly segment: bigint })
  | (Place & { readonly kind: "manual_flush"; readonly segments: readonly bigint[]; readonly clock: HybridTs })
  | Change;

/** What the node gives it. */
export interface Stamp {
  /** None: all of the pchannel. */
  readonly vchannel: string;
  readonly tt: HybridTs;
  /** Offset of the last confirmed message; none: its own. */
  readonly confirmed?: bigint;
  /** None on the tick that opens a log. */
  readonly term?: bigint;
  readonly txn?: bigint;
}

export type Action = Asked & Stamp;

/** The headers of its record, and its value. */
export interface Message {
  readonly properties: Readonly<Record<string, string>>;
  readonly value: Uint8Array;
}

export type MessageBuilder = (action: Action) => Message;

/** Milliseconds that a transaction of a proxy lives without a message. */
export const KEEPALIVE_MS = 10_000n;
