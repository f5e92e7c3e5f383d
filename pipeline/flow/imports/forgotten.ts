/**
 * Imports that the source has forgotten: a job's keys are removed some hours after its end, so one that began and ended while no
 * run was there may be known by its segments alone, and, where compactions replaced these and they were collected, by nothing but
 * rows whose time no record of the log has.
 */
import {
  after,
  type Collection,
  type HybridTs,
  type LogEvent,
  qualifiedName,
  type ResumePoint,
  type Segment,
  type Snapshot,
} from "../../model/mod.ts";
import { TidemarkError } from "../../errors.ts";
import { importedAt, importedSegments, latestRowTs, Lineage, liveSegments } from "../../transforms/mod.ts";
import type { FlowDependencies } from "../dependencies.ts";
import type { CollectionState } from "../state/mod.ts";
import type { SourceImport } from "./source_import.ts";

/** vchannel -> the log is on the target up to `tick`; what is later stands in it from `offset` on. */
export type AppliedTo = (vchannel: string) => ResumePoint;

/**
 * What the segments say of forgotten imports of one collection: those whose rows may not be on the target. Notes in `own` which
 * of them it has; a state from before that was noted has what is not later than its place in the log.
 */
export function forgottenImports(
  snapshot: Snapshot,
  collection: Collection,
  own: Pick<CollectionState, "importSegments">,
  applied: AppliedTo,
): SourceImport[] {
  const found = importedSegments(snapshot, collection);
  const has = own.importSegments === undefined
    ? ({ vchannel, ...segment }: Segment) => importedAt({ vchannel, ...segment }) <= applied(vchannel).tick
    : ({ id }: Segment) => own.importSegments!.includes(id);
  own.importSegments = found.filter(has).map(({ id }) => id);
  const known = new Set([...own.importSegments, ...snapshot.imports.flatMap(({ segmentIds }) => segmentIds)]);
  return found.filter(({ id }) => !known.has(id)).map(({ id, rows }) => ({
    id,
    collectionId: collection.id,
    state: "completed",
    segmentIds: [id],
    rows,
  }));
}

/**
 * What nothing but the rows say. A segment with rows of after its channel's place in the log, of which something that it was
 * made of is not in the metadata any more, is read for the times of its rows; of what the log brings, it holds each. Reads the
 * log from its place on where there is such a segment, and only there.
 */
export async function unexplainedImports(
  deps: Pick<FlowDependencies, "binlogs" | "log" | "follow">,
  snapshot: Snapshot,
  collection: Collection,
  applied: AppliedTo,
  signal: AbortSignal,
): Promise<SourceImport[]> {
  const lineage = new Lineage(snapshot.segments);
  const suspects = liveSegments(snapshot, collection).filter((segment) =>
    latestRowTs(segment) > applied(segment.vchannel).tick && lineage.isCut(segment)
  );
  const imports: SourceImport[] = [];
  for (const [vchannel, segments] of Map.groupBy(suspects, ({ vchannel }) => vchannel)) {
    const place = applied(vchannel);
    const times = new Map<HybridTs, { readonly segments: Set<bigint>; rows: bigint }>();
    for (const segment of segments) {
      for await (const { timestamps } of deps.binlogs.rows(segment, collection.schema, [TIMESTAMP], signal)) {
        for (const ts of timestamps ?? []) {
          if (ts <= place.tick) continue;
          let time = times.get(ts);
          if (time === undefined) times.set(ts, time = { segments: new Set(), rows: 0n });
          time.segments.add(segment.id);
          time.rows++;
        }
      }
    }
    const pchannel = collection.pchannels[collection.vchannels.indexOf(vchannel)]!;
    await forgetExplained(deps, pchannel, vchannel, place, times, signal);
    for (const [ts, time] of times) {
      imports.push({
        id: ts,
        collectionId: collection.id,
        state: "completed",
        segmentIds: [...time.segments],
        rows: time.rows,
        rowsAt: ts,
      });
    }
  }
  return imports;
}

/** The field of the rows' times. */
const TIMESTAMP = 1n;

/** Takes out of `times` what inserts of the log have. */
async function forgetExplained(
  { log, follow }: Pick<FlowDependencies, "log" | "follow">,
  pchannel: string,
  vchannel: string,
  { offset, tick }: ResumePoint,
  times: Map<HybridTs, unknown>,
  signal: AbortSignal,
): Promise<void> {
  if (times.size === 0) return;
  const { latest, topicId } = await log.bounds(pchannel, signal);
  if (offset >= latest) return;
  const select = (event: LogEvent) => event.kind === "insert" && event.vchannel === vchannel;
  for await (const group of follow({ pchannel, from: { offset, tick }, topicId, select }, signal)) {
    for (const { ts } of group.events) times.delete(ts);
    if (times.size === 0 || group.end !== undefined || after(group.resume.offset) >= latest) return;
  }
}

/**
 * Of imports that were under way when the last run ended, why it is not known whether their rows are on the target: the source
 * has forgotten the job, and nothing in the metadata tells what became of it. `found`: forgotten imports whose segments are there.
 */
export function lostImport(
  snapshot: Snapshot,
  collection: Collection,
  own: Pick<CollectionState, "importsUnderWay" | "importsDone">,
  found: readonly SourceImport[],
): TidemarkError | undefined {
  const jobs = new Set(snapshot.imports.map(({ id }) => id));
  const segments = new Set(snapshot.segments.map(({ id }) => id));
  const lost = own.importsUnderWay.find(({ id, segmentIds }) =>
    !jobs.has(id) && !own.importsDone.includes(id) &&
    (segmentIds.length === 0 ? found.length === 0 : segmentIds.some((segment) => !segments.has(segment)))
  );
  if (lost === undefined) return undefined;
  return new TidemarkError(
    "not_found",
    `Import ${lost.id} into ${
      qualifiedName(collection)
    } was under way when it was last seen, and the source has forgotten it since: whether its rows are on the target is not known`,
    { hint: "Take a fresh copy of this collection (remove it from the state, on_existing: replace)." },
  );
}
