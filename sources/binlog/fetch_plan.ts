/** How much of which file of a segment is fetched at once, so that together they keep to a budget. */
import type { FetchMode } from "./group_reader.ts";
import type { RowFile } from "./row_layout.ts";

/** Files of a group, and how many of their columns are read: each has its own place in the file. */
export interface FetchedGroup {
  readonly files: readonly RowFile[];
  readonly columns: number;
}

const WINDOW_MIN = 256 * 1024;
const WINDOW_MAX = 8 * 1024 ** 2;

/**
 * Whole files where the largest of all groups fit in half of the memory, the other half being for the next ones. Otherwise
 * ranges: the memory is divided by the groups' sizes, and where several columns are read at places a little apart, the range
 * before the newest is held, too.
 */
export function fetchModes(groups: readonly FetchedGroup[], memoryBytes: number): FetchMode[] {
  const sizes = groups.map(({ files }) =>
    files.reduce((most, { file }) => Math.max(most, file.size > 0n ? Number(file.size) : Infinity), 0)
  );
  const total = sizes.reduce((sum, size) => sum + size, 0);
  if (total * 2 <= memoryBytes) return groups.map(() => ({ kind: "whole" }));
  const known = sizes.filter((size) => size !== Infinity).reduce((sum, size) => sum + size, 0);
  const unknown = sizes.filter((size) => size === Infinity).length;
  return groups.map(({ columns }, i) => {
    // Files of unknown size share what they are at most.
    const share = sizes[i] === Infinity
      ? 1 / unknown
      : sizes[i]! / (unknown > 0 ? Math.max(known, memoryBytes) : known);
    const keep = columns > 1 ? 2 : 1;
    const window = Math.floor((memoryBytes * share) / keep);
    return { kind: "ranges", window: Math.min(WINDOW_MAX, Math.max(WINDOW_MIN, window)), keep };
  });
}
