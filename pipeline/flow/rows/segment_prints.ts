/**
 * Whether the files of a collection, those that nobody names among them, are what they were when they were listed.
 *
 * A delete is in a file before the checkpoint passes it. A file that metadata never names is one that was being written to a
 * segment while a compaction dropped it: its deletes are not later than the drop, and nothing in the metadata tells when it
 * came. So after each change the listings go on until one was made behind checkpoints that have passed it.
 */
import { type Collection, hybridFromMs, type HybridTs, type Segment, type Snapshot } from "../../model/mod.ts";
import type { StepPlan } from "../../transforms/mod.ts";

interface Print {
  readonly print: string;
  /** Of what is not named yet, nothing is later. */
  readonly until: HybridTs;
  /** A listing behind that has found the same. */
  readonly settled: boolean;
}

export class SegmentPrints {
  /** By collection id. */
  readonly #prints = new Map<bigint, Print>();

  unchanged(snapshot: Snapshot, { id }: Collection, live: readonly Segment[]): boolean {
    const known = this.#prints.get(id);
    return known !== undefined && known.settled && known.print === printOf(snapshot, id, live);
  }

  /** The files were listed and read. */
  note(snapshot: Snapshot, { id }: Collection, { cuts, live }: Pick<StepPlan, "cuts" | "live">): void {
    const print = printOf(snapshot, id, live);
    const known = this.#prints.get(id);
    if (known?.print !== print) {
      const latest = cuts.reduce((max, { ts }) => ts > max ? ts : max, lastDrop(snapshot, id));
      this.#prints.set(id, { print, until: latest, settled: false });
    } else if (cuts.every(({ ts }) => ts > known.until)) this.#prints.set(id, { ...known, settled: true });
  }
}

/** By the source's clock; 0: there was none. */
function lastDrop({ segments }: Snapshot, id: bigint): HybridTs {
  let last = 0n;
  for (const { collectionId, droppedAt } of segments) {
    if (collectionId === id && droppedAt > last) last = droppedAt;
  }
  return last === 0n ? 0n : hybridFromMs(Number(last / 1_000_000n), (1n << 18n) - 1n);
}

/** All that changes with a flush, a compaction, an import or a drop. Two sums of 32 bits over the segments, of which there may be many. */
function printOf({ segments }: Snapshot, id: bigint, live: readonly Segment[]): string {
  let [a, b, count] = [0x811c9dc5, 0x9e3779b9, 0];
  const add = (value: bigint) => {
    const [low, high] = [Number(value & 0xffffffffn), Number((value >> 32n) & 0xffffffffn)];
    a = Math.imul(a ^ low, 0x01000193) ^ high;
    b = Math.imul(b ^ high, 0x85ebca6b) + low | 0;
  };
  for (const segment of segments) {
    if (segment.collectionId !== id) continue;
    count++;
    add(segment.id);
    add(BigInt(segment.state.length) << 40n | BigInt(segment.state.charCodeAt(0)) << 8n | BigInt(segment.class.length));
    add(segment.dmlPosition?.ts ?? 0n);
    for (const { files } of [...segment.binlogs.slice(0, 1), ...segment.deltalogs]) {
      for (const { logId } of files) add(logId);
    }
  }
  return `${count} ${live.length} ${a >>> 0} ${b >>> 0}`;
}
