/** Drives one archive sink: log and base side by side, files closed in time, a new base when one is due. */
import { toTidemarkError } from "../errors.ts";
import type { ArchiveSink, HybridTs, Snapshot } from "../model/mod.ts";
import type { ArchiveLeg } from "./archive_leg.ts";
import { ArchiveTail } from "./archive_tail.ts";
import type { FlowDependencies } from "./dependencies.ts";
import { pause } from "./pause.ts";
import { endAt, type RunEnd } from "./run_end.ts";
import type { RunProgress } from "./run_progress.ts";
import { pointsOfCollections, TailStream } from "./tail_stream.ts";

export interface ArchiveRunOptions {
  readonly deps: FlowDependencies;
  readonly sink: ArchiveSink;
  readonly leg: ArchiveLeg;
  readonly snapshot: Snapshot;
  readonly end: RunEnd;
  readonly endless: boolean;
  readonly topicIds: ReadonlyMap<string, string>;
  readonly progress: RunProgress;
  /** True where no row sink says the phase. */
  readonly alone: boolean;
  readonly checkpoint: () => Promise<void>;
  readonly changed: () => void;
  readonly reading: AbortSignal;
  readonly work: AbortSignal;
}

const CARE_MS = 1000;
const REBASE_AGAIN_MS = 60_000;

export async function runArchive(o: ArchiveRunOptions): Promise<void> {
  const { leg, sink, reading } = o;
  phase(o, "base");
  await leg.open(o.snapshot, reading);
  try {
    if (!sink.logArchive) {
      await leg.base(reading);
      if (o.endless) await rebaseForEver(o, reading);
      else await rebaseOnce(o, reading);
      return;
    }
    await followLog(o, o.snapshot, o.end, o.endless, async (signal) => {
      await leg.base(signal);
      phase(o, "tail");
      if (o.endless) await rebaseForEver(o, signal);
    });
    if (o.endless || reading.aborted) return;
    await rebaseOnce(o, reading);
    // Segments that were looked up again, or a new base, hold rows from after the moment at which the log ended.
    const exact = leg.exactFrom;
    if (exact > (o.end.ts ?? 0n)) await followUpTo(o, exact);
  } finally {
    await leg.close();
  }
}

/** Archives the log to `end`, beside `work`; both are durable when it resolves. */
async function followLog(
  o: ArchiveRunOptions,
  snapshot: Snapshot,
  end: RunEnd,
  endless: boolean,
  work: (signal: AbortSignal) => Promise<void>,
): Promise<void> {
  const { leg, deps } = o;
  const broken = new AbortController();
  const signal = AbortSignal.any([o.reading, broken.signal]);
  const points = await leg.startPoints(signal);
  const stream = new TailStream({
    deps,
    end,
    endless,
    topicIds: o.topicIds,
    progress: o.progress,
    points,
    vchannelsOf: (id) => leg.state.collections.get(id)?.vchannels ?? [],
    records: true,
    windowBytes: deps.limits.inFlightBytes / 2,
    signal,
  });
  const tail = new ArchiveTail({
    session: () => leg.session,
    state: leg.state,
    describe: deps.describeRecord,
    wanted: leg.wanted,
    acknowledged: (group) => stream.acknowledge(group),
    changed: o.changed,
    appending: leg.inTurn,
    signal: o.work,
  });
  const log = stream.run([tail], pointsOfCollections(deps, snapshot.catalog.collections));
  const beside = [everySecond(o, stream.reading), learnCollections(o, stream, snapshot)];
  const main = Promise.all([log, work(signal)]);
  const all = [log, main, ...beside];
  try {
    await Promise.race([main, ...beside.map((task) => task.then(() => main))]);
  } catch (error) {
    broken.abort(error);
    throw error;
  } finally {
    stream.end();
    await Promise.allSettled(all);
    // What was accepted is kept also where the base failed or was stopped.
    if (!o.work.aborted) {
      await leg.inTurn(() => leg.session.flushLog(o.work));
      await leg.startPoints(o.work);
      await o.checkpoint();
    }
  }
}

async function followUpTo(o: ArchiveRunOptions, ts: HybridTs): Promise<void> {
  const snapshot = await o.deps.meta.snapshot(o.reading);
  await followLog(o, snapshot, endAt(ts), false, () => Promise.resolve());
}

/** Files that are old enough are closed even where nothing arrives. */
async function everySecond(o: ArchiveRunOptions, signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    try {
      await pause(CARE_MS, signal);
      await o.leg.inTurn(() => o.leg.session.rollDue(o.deps.now(), o.work));
    } catch (error) {
      if (signal.aborted) return;
      if (!toTidemarkError(error).retriable) throw error;
      o.deps.report.warn(`roll ${o.sink.name}`, toTidemarkError(error).message);
    }
  }
}

/** A run that ends makes the base that is due, too: it may be the nightly one. */
async function rebaseOnce(o: ArchiveRunOptions, signal: AbortSignal): Promise<void> {
  const why = o.leg.due();
  if (why === undefined) return;
  phase(o, "base");
  o.deps.report.info(`New base of ${o.sink.name}: ${why}`);
  await o.leg.rebase(await o.deps.meta.snapshot(signal), signal);
}

async function rebaseForEver(o: ArchiveRunOptions, signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    try {
      await pause(CARE_MS, signal);
      const why = o.leg.due();
      if (why === undefined) continue;
      o.deps.report.info(`New base of ${o.sink.name}: ${why}`);
      await o.leg.rebase(await o.deps.meta.snapshot(signal), signal);
    } catch (error) {
      if (signal.aborted) return;
      // The backup that is there goes on; what was copied of the new one is kept for the next try.
      const { message } = toTidemarkError(error);
      o.deps.report.warn(`rebase ${o.sink.name} ${message}`, `The new base of ${o.sink.name} failed: ${message}`);
      await pause(REBASE_AGAIN_MS, signal).catch(() => {});
    }
  }
}

async function learnCollections(o: ArchiveRunOptions, stream: TailStream, snapshot: Snapshot): Promise<void> {
  const { deps, leg } = o;
  let from = snapshot.revision;
  while (!stream.reading.aborted) {
    try {
      for await (const change of deps.meta.watch(from, stream.reading)) {
        await leg.changed(change, o.work);
        stream.follow(pointsOfCollections(deps, change.catalog.collections));
        from = change.revision;
      }
    } catch (error) {
      if (stream.reading.aborted) return;
      if (toTidemarkError(error).code !== "position_lost") throw error;
      // etcd compacted the revision away: the difference comes from a whole reading.
      const fresh = await deps.meta.snapshot(stream.reading);
      await leg.changed(
        { ...fresh, importsCompleted: fresh.imports.filter(({ state }) => state === "completed") },
        o.work,
      );
      stream.follow(pointsOfCollections(deps, fresh.catalog.collections));
      from = fresh.revision;
    }
  }
}

function phase(o: ArchiveRunOptions, name: "base" | "tail"): void {
  if (o.alone) o.progress.phase = name;
}
