/** What a lane has to do, one piece after the other. */
import type {
  BlockEvent,
  DdlEvent,
  DeleteEvent,
  InsertEvent,
  LogEvent,
  ResumePoint,
  TickGroup,
} from "../../model/mod.ts";
import { type FoldedBatch, type FoldTarget, keyConflict } from "../../transforms/mod.ts";
import type { SourceImport } from "../imports/mod.ts";

/** A group and where to start again if it must be repeated. */
export interface Ticket {
  readonly group: TickGroup;
  /** Resume point before this group. */
  readonly before: { readonly offset: bigint; readonly tick: bigint };
}

/** What one group holds for one vchannel, cut at DDL. */
export type LaneItem =
  | {
    readonly kind: "rows";
    readonly vchannel: string;
    readonly ticket: Ticket;
    readonly events: readonly (InsertEvent | DeleteEvent)[];
    readonly rows: number;
    readonly bytes: number;
  }
  | { readonly kind: "ddl"; readonly vchannel: string; readonly ticket: Ticket; readonly event: DdlEvent }
  | { readonly kind: "block"; readonly vchannel: string; readonly ticket: Ticket; readonly event: BlockEvent }
  /** An import finished on the source; comes from the metadata, not from the log. */
  | {
    readonly kind: "import";
    readonly vchannel: string;
    readonly ticket: undefined;
    readonly task: SourceImport;
    /** pchannel -> the log is in the lanes up to there. */
    readonly upTo: ReadonlyMap<string, bigint>;
    /** pchannel -> a place in the log from before the import, where one is known. */
    readonly from: ReadonlyMap<string, ResumePoint>;
  };

export interface LaneState {
  readonly vchannel: string;
  readonly collectionId: bigint;
  /** Set once the collection is known and on the target; undefined while asking. */
  fold: FoldTarget | undefined;
  carried: boolean;
}

export type LaneWork =
  | { readonly kind: "rows"; readonly items: readonly LaneItem[]; readonly batch: FoldedBatch }
  | { readonly kind: "alone"; readonly items: readonly LaneItem[] }
  /** The lane's collection is not carried, or held: what comes is only acknowledged. */
  | { readonly kind: "discard"; readonly items: readonly LaneItem[] };

const MADE_FROM_METADATA: ReadonlySet<string> = new Set(["create_collection", "create_partition", "replicate"]);

/**
 * Cuts a group's events into lane items. `wanted` leaves out what is on the target already. A block that names no
 * vchannel concerns all that `everyone` returns: nobody knows whose rows it would have changed.
 */
export function splitGroup(
  ticket: Ticket,
  vchannelOf: (event: LogEvent) => string,
  wanted: (vchannel: string, ts: bigint) => boolean,
  everyone: () => readonly string[],
): LaneItem[] {
  const items: LaneItem[] = [];
  const runs = new Map<string, { events: (InsertEvent | DeleteEvent)[]; rows: number; bytes: number }>();
  const close = (vchannel: string) => {
    const run = runs.get(vchannel);
    if (run === undefined) return;
    runs.delete(vchannel);
    items.push({ kind: "rows", vchannel, ticket, ...run });
  };
  for (const event of ticket.group.events) {
    if (event.kind === "block" && event.vchannel === "") {
      for (const vchannel of everyone()) {
        close(vchannel);
        if (wanted(vchannel, event.ts)) items.push({ kind: "block", vchannel, ticket, event });
      }
      continue;
    }
    // What is made comes from the metadata: its record is written before the metadata is, and may be in vain.
    if (event.kind === "ddl" && MADE_FROM_METADATA.has(event.operation)) continue;
    const vchannel = vchannelOf(event);
    // A change of a collection that nobody here knows: nothing of it is on the target.
    if (vchannel === "" || !wanted(vchannel, event.ts)) continue;
    if (event.kind === "insert" || event.kind === "delete") {
      let run = runs.get(vchannel);
      if (run === undefined) runs.set(vchannel, run = { events: [], rows: 0, bytes: 0 });
      run.events.push(event);
      run.rows += event.kind === "insert" ? event.rows : event.keys.values.length;
      run.bytes += event.bytes;
      continue;
    }
    close(vchannel);
    if (event.kind === "ddl") items.push({ kind: "ddl", vchannel, ticket, event });
    else items.push({ kind: "block", vchannel, ticket, event });
  }
  for (const vchannel of [...runs.keys()]) close(vchannel);
  return items;
}

/** True if `next` must wait until `before` is done. */
export function inConflict(before: LaneWork, next: LaneWork): boolean {
  if (before.kind === "rows" && next.kind === "rows") return keyConflict(before.batch, next.batch);
  return !(before.kind === "discard" && next.kind === "discard");
}
