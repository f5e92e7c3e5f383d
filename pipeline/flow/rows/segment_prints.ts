/** Whether the metadata of a collection's segments is what it was when its files were listed, and was so when they were before. */
import type { Collection, Segment, Snapshot } from "../../model/mod.ts";

export class SegmentPrints {
  /** Collection id -> print, and whether the listing before found the same. */
  readonly #prints = new Map<bigint, { readonly print: string; readonly twice: boolean }>();

  unchanged(snapshot: Snapshot, { id }: Collection, live: readonly Segment[]): boolean {
    const known = this.#prints.get(id);
    return known !== undefined && known.twice && known.print === printOf(snapshot, id, live);
  }

  /** The files were listed and read. */
  note(snapshot: Snapshot, { id }: Collection, live: readonly Segment[]): void {
    const print = printOf(snapshot, id, live);
    this.#prints.set(id, { print, twice: this.#prints.get(id)?.print === print });
  }
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
