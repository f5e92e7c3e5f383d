/** Which segments compactions and sorts made of which, as far as the metadata still names them. */
import type { Segment } from "../model/mod.ts";

/**
 * What became of segments, and of what they came. A segment that the metadata does not hold any more ends the chain.
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * import type { Segment } from "../model/mod.ts";
 * import { Lineage } from "./segment_lineage.ts";
 *
 * // What counts of a segment here.
 * const dropped = { id: 1n, class: "none", compactionFrom: [] as bigint[] } as unknown as Segment;
 * const sorted = { id: 2n, class: "rows", compactionFrom: [1n, 9n] } as unknown as Segment;
 * const lineage = new Lineage([dropped, sorted]);
 * assert.deepEqual(lineage.holdersOf(dropped), [sorted]);
 * assert.ok(lineage.isCut(sorted), "segment 9 is forgotten");
 * ```
 */
export class Lineage {
  readonly #byId: ReadonlyMap<bigint, Segment>;
  readonly #children = new Map<bigint, Segment[]>();

  constructor(segments: readonly Segment[]) {
    this.#byId = new Map(segments.map((segment) => [segment.id, segment]));
    for (const segment of segments) {
      for (const source of segment.compactionFrom) {
        const list = this.#children.get(source);
        if (list === undefined) this.#children.set(source, [segment]);
        else list.push(segment);
      }
    }
  }

  /** Live segments that have the rows of `segment` by now: itself, or what became of it. */
  holdersOf(segment: Segment): Segment[] {
    if (segment.class === "rows") return [segment];
    const found = new Set<Segment>();
    const visit = ({ id }: Segment): void => {
      for (const child of this.#children.get(id) ?? []) {
        if (found.has(child)) continue;
        found.add(child);
        visit(child);
      }
    };
    visit(segment);
    return [...found].filter((child) => child.class === "rows");
  }

  /** Something that it was made of is not in the metadata any more: nobody knows by its segments what it held. */
  isCut(segment: Segment): boolean {
    const visited = new Set<bigint>();
    const cut = ({ compactionFrom }: Segment): boolean =>
      compactionFrom.some((id) => {
        if (visited.has(id)) return false;
        visited.add(id);
        const source = this.#byId.get(id);
        return source === undefined || cut(source);
      });
    return cut(segment);
  }

  /** Whether some segment was made of the one with that id. */
  hasChild(id: bigint): boolean {
    return this.#children.has(id);
  }
}
