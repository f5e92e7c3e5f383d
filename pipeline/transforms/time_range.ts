/**
 * Between which times the rows and deletes of a segment lie, by metadata alone. A file's range is believed where it is a
 * time: rewritten files can say 0 or 1, and the files of a segment kept by a manifest have none in metadata. What is left
 * then are the segment's positions: all that its files hold is not later than its dml position.
 */
import type { HybridTs, Segment } from "../model/mod.ts";

/** 0 and 1 are no times: they stand where a writer knew none. */
const FIRST_TIME = 2n;

/**
 * The latest time that any file of the segment can hold; 0 for one without files.
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * import type { Segment } from "../model/mod.ts";
 * import { latestTs } from "./time_range.ts";
 *
 * const segment = { commitTimestamp: 0n, manifestPath: "{}", binlogs: [], deltalogs: [], dmlPosition: { ts: 9n } };
 * assert.equal(latestTs(segment as unknown as Segment), 9n, "its manifest says no times, its position does");
 * ```
 */
export function latestTs(segment: Segment): HybridTs {
  let latest = segment.commitTimestamp;
  const take = (ts: HybridTs | undefined) => {
    if (ts !== undefined && ts > latest) latest = ts;
  };
  let isKnown = segment.manifestPath === "";
  for (const { files } of [...segment.binlogs, ...segment.deltalogs]) {
    for (const { tsTo } of files) {
      if (tsTo >= FIRST_TIME) take(tsTo);
      else isKnown = false;
    }
  }
  if (!isKnown) {
    take(segment.dmlPosition?.ts);
    take(segment.startPosition?.ts);
  }
  return latest;
}

/**
 * The earliest time of any row; 0 where metadata does not say.
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * import type { Segment } from "../model/mod.ts";
 * import { earliestRowTs } from "./time_range.ts";
 *
 * const binlogs = [{ fieldId: 1n, childFields: [], files: [{ tsFrom: 7n }, { tsFrom: 5n }] }];
 * assert.equal(earliestRowTs({ manifestPath: "", binlogs } as unknown as Segment), 5n);
 * ```
 */
export function earliestRowTs(segment: Segment): HybridTs {
  let earliest: HybridTs | undefined;
  for (const { files } of segment.manifestPath === "" ? segment.binlogs : []) {
    for (const { tsFrom } of files) if (earliest === undefined || tsFrom < earliest) earliest = tsFrom;
  }
  return earliest === undefined || earliest < FIRST_TIME ? 0n : earliest;
}

/**
 * The latest time that any row can have; deletes do not count. 0 for a segment without files.
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * import type { Segment } from "../model/mod.ts";
 * import { latestRowTs } from "./time_range.ts";
 *
 * const binlogs = [{ fieldId: 1n, childFields: [], files: [{ tsTo: 7n }, { tsTo: 9n }] }];
 * const deltalogs = [{ fieldId: 0n, childFields: [], files: [{ tsTo: 20n }] }];
 * const segment = { commitTimestamp: 0n, manifestPath: "", binlogs, deltalogs };
 * assert.equal(latestRowTs(segment as unknown as Segment), 9n);
 * ```
 */
export function latestRowTs(segment: Segment): HybridTs {
  return latestTs({ ...segment, deltalogs: [] });
}
