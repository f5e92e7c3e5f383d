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
    | "import"
    | "commit_import";
  readonly broadcast?: { readonly id: bigint; readonly vchannels: readonly string[] };
  readonly vchannels?: readonly string[];
  readonly pchannels?: readonly string[];
  readonly job?: bigint;
}

interface Insert extends Place {
  readonly kind: "insert";
  readonly segment: bigint;
  readonly rows: readonly Row[];
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
