/**
 * Several channels' ordered events as one list. A change that was sent to several channels is one line, in a place that is
 * right for each of them: before it comes what each channel has before its copy.
 */
import type { DdlEvent, LogEvent } from "../../../pipeline/model/mod.ts";
import { before } from "../order.ts";

/** One line to be: an event of one channel, or all copies of a change. */
export type MergedItem =
  | { readonly kind: "event"; readonly channel: string; readonly event: Exclude<LogEvent, DdlEvent> }
  | { readonly kind: "ddl"; readonly copies: readonly { readonly channel: string; readonly event: DdlEvent }[] };

interface Change {
  /** Channels that have to reach their copy first. */
  members: Set<string>;
  readonly copies: Map<string, DdlEvent>;
  done: boolean;
}

interface Slot {
  readonly event: LogEvent;
  readonly change: Change | undefined;
}

/** Generation 1 sends these again after a restart of a coordinator, with a new timestamp: they happen once. */
const ONCE: ReadonlySet<string> = new Set([
  "create_collection",
  "drop_collection",
  "create_partition",
  "drop_partition",
]);

export class EventMerger {
  readonly #queues = new Map<string, Slot[]>();
  readonly #changes = new Map<string, Change>();
  /** Channels of each collection, from its creation. */
  readonly #channels = new Map<bigint, readonly string[]>();
  readonly #stopped = new Set<string>();

  /** The next event of its pchannel. */
  push(event: LogEvent): void {
    const channel = event.vchannel === "" ? event.pchannel : event.vchannel;
    if (this.#stopped.has(channel)) return;
    let change: Change | undefined;
    if (event.kind === "ddl") {
      change = this.#changeOf(event, channel);
      if (change.done || change.copies.has(channel)) return;
      change.copies.set(channel, event);
    }
    let queue = this.#queues.get(channel);
    if (queue === undefined) this.#queues.set(channel, queue = []);
    queue.push({ event, change });
    // Nothing behind a record that nobody can read may be shown as if it were known to be right.
    if (event.kind === "block") this.#stopped.add(channel);
  }

  #changeOf(event: DdlEvent, channel: string): Change {
    const key = event.broadcast !== undefined
      ? `b${event.broadcast.id}`
      : `${event.type}/${event.collectionId}/${event.partitionIds.join(",")}${
        ONCE.has(event.operation) ? "" : `/${event.ts}`
      }`;
    let change = this.#changes.get(key);
    if (change === undefined) {
      change = { members: new Set([channel, ...this.#membersOf(event)]), copies: new Map(), done: false };
      this.#changes.set(key, change);
    }
    return change;
  }

  #membersOf(event: DdlEvent): readonly string[] {
    if (event.broadcast !== undefined) return event.broadcast.vchannels;
    if (event.operation === "create_collection") {
      const { virtualChannelNames } = event.message as { virtualChannelNames?: readonly string[] };
      this.#channels.set(event.collectionId, virtualChannelNames ?? []);
    }
    return this.#channels.get(event.collectionId) ?? [];
  }

  /** Everything whose place is certain; with `final`, also changes of which some copies are missing, and what waits for them. */
  *drain(final = false): Generator<MergedItem> {
    while (true) {
      let best: Slot | undefined;
      let from: string | undefined;
      let waiting: Slot | undefined;
      for (const [channel, queue] of this.#queues) {
        const slot = queue[0];
        if (slot === undefined) continue;
        if (!this.#ready(slot)) {
          if (waiting === undefined || before(slot.event, waiting.event) < 0) waiting = slot;
          continue;
        }
        if (best === undefined || before(slot.event, best.event) < 0) {
          best = slot;
          from = channel;
        }
      }
      if (best === undefined || from === undefined) {
        if (!final || waiting?.change === undefined) return;
        waiting.change.members = new Set(this.#atHead(waiting.change));
        continue;
      }
      yield this.#take(best, from);
    }
  }

  #shift(channel: string): Slot {
    const queue = this.#queues.get(channel)!;
    const slot = queue.shift()!;
    if (queue.length === 0) this.#queues.delete(channel);
    return slot;
  }

  #atHead(change: Change): string[] {
    return [...this.#queues].filter(([, queue]) => queue[0]?.change === change).map(([channel]) => channel);
  }

  #ready({ change }: Slot): boolean {
    if (change === undefined) return true;
    for (const member of change.members) if (this.#queues.get(member)?.[0]?.change !== change) return false;
    return true;
  }

  #take(slot: Slot, channel: string): MergedItem {
    const { event, change } = slot;
    if (change === undefined) {
      this.#shift(channel);
      return { kind: "event", channel, event: event as Exclude<LogEvent, DdlEvent> };
    }
    const copies: { channel: string; event: DdlEvent }[] = [];
    for (const member of this.#atHead(change)) {
      copies.push({ channel: member, event: this.#shift(member).event as DdlEvent });
    }
    change.done = true;
    return { kind: "ddl", copies };
  }
}
