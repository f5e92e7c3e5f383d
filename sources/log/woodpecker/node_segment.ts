/**
 * A segment of storage of type `service`: on the servers that etcd names with it while it is written, in the bucket once it is
 * sealed. A server gives out only what it was told to be acknowledged, so that one which was restarted, or was away, gives less
 * than the others; entries have their numbers on all of them.
 */
import { TidemarkError } from "../../../pipeline/errors.ts";
import type { SegmentMeta } from "./keys.ts";
import type { NodePlace, WoodpeckerNodes } from "./nodes.ts";
import { ObjectSegment } from "./object_segment.ts";
import { type SegmentPlace, type SegmentReader, type Step, takenBack } from "./segment.ts";

export interface NodeSegmentPlace extends SegmentPlace, NodePlace {
  readonly nodes: WoodpeckerNodes;
}

export class NodeSegment implements SegmentReader {
  readonly #place: NodeSegmentPlace;
  readonly #sealed: ObjectSegment;
  /** Address -> what it said at last, for its next question. */
  readonly #states = new Map<string, Uint8Array>();
  /** Who gave the last entries. */
  #giver: string | undefined;
  /** Behind the last entry that was given out. */
  #given = 0n;
  /** Where the servers were asked for their ends, and had no more. */
  #proven: bigint | undefined;

  constructor(place: NodeSegmentPlace) {
    this.#place = place;
    this.#sealed = new ObjectSegment(place);
  }

  async read(entry: bigint, signal: AbortSignal): Promise<Step> {
    // Asked before the servers: what was finished by then is complete.
    const meta = this.#place.meta();
    const { state, lastEntry } = meta;
    if (state !== "active") {
      if (this.#given > lastEntry + 1n) throw takenBack(this.#place, lastEntry, this.#given - 1n);
      if (entry > lastEntry) return { kind: "end" };
    }
    const step = await this.#read(entry, meta, signal);
    if (step.kind === "entries") this.#given = step.first + BigInt(step.entries.length);
    return step;
  }

  async end(signal: AbortSignal): Promise<bigint> {
    const meta = this.#place.meta();
    if (meta.state !== "active") return meta.lastEntry + 1n;
    const end = await this.#end(meta, signal);
    if (typeof end === "bigint") return end;
    throw new TidemarkError("unreachable", end, { hint: HINT });
  }

  async #read(entry: bigint, meta: SegmentMeta, signal: AbortSignal): Promise<Step> {
    if (meta.state === "sealed") return await this.#sealed.read(entry, signal);
    // One may be truncated before it is sealed: then it is never put into the bucket.
    if (meta.state === "truncated") {
      const step = await this.#sealed.read(entry, signal);
      if (step.kind !== "missing") return step;
    }
    const failures: string[] = [];
    for (const node of this.#order(meta)) {
      const answer = await this.#place.nodes.read(node, this.#place, entry, this.#states.get(node), signal);
      if (answer.kind === "failed") failures.push(answer.reason);
      if (answer.kind !== "entries") continue;
      this.#giver = node;
      if (answer.state !== undefined) this.#states.set(node, answer.state);
      const until = meta.state === "active" ? answer.entries.length : Number(meta.lastEntry - entry) + 1;
      return { kind: "entries", first: entry, entries: answer.entries.slice(0, until) };
    }
    if (meta.state !== "active") {
      if (failures.length > 0) return { kind: "away", reason: away(meta, failures) };
      return await this.#sealed.read(entry, signal);
    }
    if (failures.length > unneeded(meta)) return { kind: "away", reason: away(meta, failures) };
    if (this.#proven === entry) return { kind: "nothing", next: entry };
    const next = await this.#end(meta, signal);
    if (typeof next === "string") return { kind: "away", reason: next };
    if (next <= entry) this.#proven = entry;
    return { kind: "nothing", next };
  }

  /**
   * Behind the last entry of all servers: everything acknowledged lies before it, if enough of them say. A server reads its
   * whole file for that. A text: why it cannot be said.
   */
  async #end(meta: SegmentMeta, signal: AbortSignal): Promise<bigint | string> {
    const { nodes } = this.#place;
    const said = await Promise.all(meta.nodes.map((node) => nodes.last(node, this.#place, signal)));
    const failures = said.filter((each) => typeof each === "string");
    if (failures.length > unneeded(meta)) return away(meta, failures);
    return said.reduce<bigint>((end, each) => typeof each === "bigint" && each >= end ? each + 1n : end, 0n);
  }

  /** The one that gave the last entries first. */
  #order({ nodes }: SegmentMeta): string[] {
    return [...nodes].sort((a, b) => Number(b === this.#giver) - Number(a === this.#giver));
  }
}

const HINT =
  "Look at the source's Woodpecker servers, and whether they can be reached from here under these addresses.";

/** So many servers may be silent: among the others is one that has every acknowledged entry. */
function unneeded({ acks }: SegmentMeta): number {
  return acks - 1;
}

function away({ nodes }: SegmentMeta, failures: readonly string[]): string {
  return `${failures.length} of Woodpecker's servers ${nodes.join(", ")} do not answer: ${failures[0]}`;
}
