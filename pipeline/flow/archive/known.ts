/**
 * What a new base learns from the one before, so that it need not read the whole log again. A row that was there at the older
 * base's cut was in its segments, and its delta logs hold every delete of it up to that cut; a row that came later is deleted
 * later. So the older base's delta logs and the log from its cut on say the same as all of the log.
 *
 * It does not hold for the rows of an import that was under way at the older base: they are as old as the import, and were in
 * no segment yet. Such a base states nothing for that collection.
 */
import { toTidemarkError } from "../../errors.ts";
import {
  type BackupSession,
  type BinlogSource,
  type Collection,
  type Cut,
  type DeleteMark,
  type KnownDeletes,
  type PreviousDeltaLog,
  qualifiedName,
  type Snapshot,
} from "../../model/mod.ts";
import { liveSegments } from "../../transforms/mod.ts";
import { type DeleteDemand, type LogDeletes, readLogDeletes } from "../base/mod.ts";
import type { FlowDependencies } from "../dependencies.ts";

/** Delta logs of the older base read at once. */
const AT_ONCE = 8;

/** As {@link readLogDeletes}, with the older base's word for what came before its cuts, where it has one. */
export async function readForgotten(
  deps: Pick<FlowDependencies, "follow" | "log" | "baseDeletes" | "binlogs" | "report">,
  session: Pick<BackupSession, "previous">,
  snapshot: Snapshot,
  demands: readonly DeleteDemand[],
  signal: AbortSignal,
): Promise<LogDeletes> {
  const known = new Map((session.previous?.known ?? []).map((item) => [item.vchannel, item]));
  const before = new Map<bigint, DeleteMark[]>();
  const asked: DeleteDemand[] = [];
  for (const [id, own] of Map.groupBy(demands, ({ cut }) => cut.collectionId)) {
    const collection = snapshot.catalog.collections.find((item) => item.id === id);
    const useful = own.map((demand) => usable(demand, known.get(demand.cut.vchannel)));
    const marks = collection !== undefined && useful.some((item) => item !== undefined)
      ? await marksBefore(deps, session, snapshot, collection, signal)
      : undefined;
    if (marks !== undefined) before.set(id, marks);
    own.forEach((demand, i) => asked.push(marks === undefined ? demand : { ...demand, known: useful[i] }));
  }
  const found = await readLogDeletes(deps, asked, signal);
  const marks = new Map(found.marks);
  for (const { cut } of demands) {
    if (!found.fromKnown.includes(cut.vchannel)) continue;
    marks.set(cut.vchannel, [...marks.get(cut.vchannel) ?? [], ...before.get(cut.collectionId) ?? []]);
  }
  return { ...found, marks };
}

function usable({ cut, horizon }: DeleteDemand, known: (Cut & KnownDeletes) | undefined): DeleteDemand["known"] {
  if (known === undefined || horizon === undefined || known.collectionId !== cut.collectionId) return undefined;
  const earlier = known.offset > horizon && known.offset <= cut.offset && known.ts <= cut.ts;
  return earlier ? { offset: known.offset, topicId: known.topicId } : undefined;
}

/** Undefined where the older base cannot be read any more: then the log is read as if there were none. */
async function marksBefore(
  deps: Pick<FlowDependencies, "binlogs" | "report">,
  { previous }: Pick<BackupSession, "previous">,
  snapshot: Snapshot,
  collection: Collection,
  signal: AbortSignal,
): Promise<DeleteMark[] | undefined> {
  // What a live segment still names goes into the new base with it, and is of no other segment's rows.
  const named = new Set(
    liveSegments(snapshot, collection).flatMap(({ id, deltalogs }) =>
      deltalogs.flatMap(({ files }) => files.map(({ logId }) => `${id}/${logId}`))
    ),
  );
  const logs = previous!.deltaLogs(collection.id).filter(({ segmentId, logId, own }) =>
    own || !named.has(`${segmentId}/${logId}`)
  );
  try {
    return await marksOf(deps.binlogs, logs, signal);
  } catch (thrown) {
    if (signal.aborted) throw thrown;
    const error = toTidemarkError(thrown);
    if (error.retriable) throw error;
    deps.report.warn(
      `previous ${collection.id}`,
      `${qualifiedName(collection)}: the whole log is searched for deletes, because backup ${
        previous!.name
      } cannot be read: ${error.message}`,
    );
    return undefined;
  }
}

async function marksOf(
  binlogs: BinlogSource,
  logs: readonly PreviousDeltaLog[],
  signal: AbortSignal,
): Promise<DeleteMark[]> {
  const marks: DeleteMark[] = [];
  let next = 0;
  const worker = async () => {
    while (next < logs.length) {
      const log = logs[next++]!;
      for await (const mark of binlogs.deletesIn(await log.read(signal), log.path, signal)) marks.push(mark);
    }
  };
  const results = await Promise.allSettled(Array.from({ length: Math.min(AT_ONCE, logs.length) }, worker));
  for (const result of results) if (result.status === "rejected") throw result.reason;
  return marks;
}

/** What a base may state of a collection whose deletes were searched for, `topicIds` being of the topics that were read. */
export function statesOf(
  { imports, segments }: Snapshot,
  collection: Collection,
  cuts: readonly Cut[],
  topicIds: ReadonlyMap<string, string>,
): KnownDeletes[] {
  const importing =
    imports.some(({ collectionId, state }) =>
      collectionId === collection.id && state !== "completed" && state !== "failed"
    ) || segments.some(({ collectionId, isImporting, state }) =>
      collectionId === collection.id && state !== "dropped" && (isImporting || state === "importing")
    );
  if (importing) return [];
  return cuts.flatMap(({ vchannel }) => {
    const topicId = topicIds.get(vchannel);
    return topicId === undefined || topicId === "" ? [] : [{ vchannel, topicId }];
  });
}
