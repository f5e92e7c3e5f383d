/** Drives one archive sink: log and base side by side, files closed in time, a new base when one is due. */
import { toTidemarkError } from "../errors.ts";
import type { ArchiveSink, Snapshot } from "../model/mod.ts";
import type { ArchiveLeg } from "./archive_leg.ts";
import { ArchiveTail } from "./archive_tail.ts";
import type { Slots } from "./base_copy.ts";
import type { FlowDependencies } from "./dependencies.ts";
import { pause } from "./pause.ts";
import { startPoints } from "./pchannels.ts";
import type { RunEnd } from "./run_end.ts";
import type { RunProgress } from "./run_progress.ts";
import { pointsOfCollections, TailStream } from "./tail_stream.ts";

export interface ArchiveRunOptions {
  readonly deps: FlowDependencies;
  readonly sink: ArchiveSink;
  readonly leg: ArchiveLeg;
  readonly snapshot: Snapshot;
  readonly end: RunEnd;
  readonly endless: boolean;
  readonly slots: Slots;
  readonly topicIds: ReadonlyMap<string, string>;
  readonly progress: RunProgress;
  readonly checkpoint: () => Promise<void>;
  readonly changed: () => void;
  readonly reading: AbortSignal;
  readonly work: AbortSignal;
}

const CARE_MS = 1000;

export async function runArchive(o: ArchiveRunOptions): Promise<void> {
  const { leg, sink, snapshot, reading, work } = o;
  await leg.open(snapshot, reading);
  try {
    if (!sink.logArchive) {
      await leg.base(snapshot, o.slots, reading);
      if (o.endless) await rebaseForEver(o, reading);
      return;
    }
    await leg.startPoints(reading);
    const stream = new TailStream({
      deps: o.deps,
      end: o.end,
      endless: o.endless,
      topicIds: o.topicIds,
      progress: o.progress,
      points: startPoints([leg.state]),
      vchannelsOf: (id) => leg.state.collections.get(id)?.vchannels ?? [],
      records: true,
      windowBytes: o.deps.limits.inFlightBytes / 2,
      signal: reading,
    });
    const tail = new ArchiveTail({
      session: () => leg.session,
      state: leg.state,
      describe: o.deps.describeRecord,
      wanted: leg.wanted,
      acknowledged: (group) => stream.acknowledge(group),
      changed: o.changed,
      appending: leg.appending,
      signal: work,
    });
    const starts = pointsOfCollections(o.deps, snapshot.catalog.collections);
    const log = stream.run([tail], starts);
    const care = everySecond(o, stream.reading);
    const watch = learnCollections(o, stream);
    try {
      const base = leg.base(snapshot, o.slots, reading).then(() =>
        o.endless ? rebaseForEver(o, stream.reading) : undefined
      );
      await Promise.all([log, base]);
    } finally {
      stream.end();
      await Promise.allSettled([care, watch]);
    }
    if (!work.aborted) {
      await leg.appending(() => leg.session.flushLog(work));
      await o.checkpoint();
    }
  } finally {
    await leg.close();
  }
}

/** Files that are old enough are closed even where nothing arrives. */
async function everySecond(o: ArchiveRunOptions, signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    try {
      await pause(CARE_MS, signal);
      await o.leg.appending(() => o.leg.session.rollDue(o.deps.now(), o.work));
    } catch (error) {
      if (!signal.aborted) o.deps.report.warn(`roll ${o.sink.name}`, toTidemarkError(error).message);
    }
  }
}

async function rebaseForEver(o: ArchiveRunOptions, signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    try {
      await pause(CARE_MS, signal);
      const why = o.leg.due();
      if (why === undefined) continue;
      o.deps.report.info(`New base of ${o.sink.name}: ${why}`);
      await o.leg.rebase(await o.deps.meta.snapshot(signal), o.slots, signal);
    } catch (error) {
      if (signal.aborted) return;
      // The backup that is there goes on; the next try comes with the next second.
      o.deps.report.warn(
        `rebase ${o.sink.name}`,
        `The new base of ${o.sink.name} failed: ${toTidemarkError(error).message}`,
      );
      await pause(60 * CARE_MS, signal).catch(() => {});
    }
  }
}

async function learnCollections(o: ArchiveRunOptions, stream: TailStream): Promise<void> {
  let from = o.snapshot.revision;
  while (!stream.reading.aborted) {
    try {
      for await (const change of o.deps.meta.watch(from, stream.reading)) {
        from = change.revision;
        o.leg.learn(change.catalog.collections);
        stream.follow(pointsOfCollections(o.deps, change.catalog.collections));
      }
    } catch (error) {
      if (stream.reading.aborted) return;
      if (toTidemarkError(error).code !== "position_lost") throw error;
      const fresh = await o.deps.meta.snapshot(stream.reading);
      from = fresh.revision;
      o.leg.learn(fresh.catalog.collections);
      stream.follow(pointsOfCollections(o.deps, fresh.catalog.collections));
    }
  }
}
