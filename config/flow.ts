/** From components to what the flow works with. */
import type { CrashPoints, FlowDependencies, FlowReport, RowSinkSetup } from "../pipeline/flow/mod.ts";
import { TidemarkError } from "../pipeline/errors.ts";
import type { BinlogSource, HybridTs, LogSource, MetaSource, Queue, RowSink } from "../pipeline/model/mod.ts";
import type { LogOddity } from "../sources/log/mod.ts";
import type { Components } from "./wire.ts";

export interface FlowHooks {
  readonly report: FlowReport;
  /** Unix ms. */
  readonly now: () => number;
  readonly crash: CrashPoints;
  /** Of a restore: the moment whose catalog is wanted; undefined: the base's. */
  readonly restoreTo?: HybridTs;
}

/** Opens every component of the configuration. What only a run needs is loaded here: other commands start without it. */
export async function flowDependencies(components: Components, hooks: FlowHooks): Promise<FlowDependencies> {
  const { config } = components;
  const { transforms, limits } = config;
  const [
    { makeDdlRules, makeRouter, makeSelector },
    { followFlushes, followPchannel, recordFacts },
    { meta, log, binlogs, baseDeletes },
    sinks,
    state,
  ] = await Promise.all([
    import("../pipeline/transforms/mod.ts"),
    import("../sources/log/mod.ts"),
    openSources(components, hooks.restoreTo),
    components.sinks(),
    components.state(),
  ]);
  const selector = makeSelector(transforms.select);
  const router = makeRouter(transforms.route);
  const rows: RowSinkSetup[] = [];
  for (const { sink, config: own } of sinks) {
    if (sink.kind === "rows" && own.type === "milvus") rows.push({ sink, onExisting: own.on_existing, load: own.load });
  }
  return {
    pipeline: config.pipeline,
    meta,
    log,
    follow: (request, signal) => followPchannel(log, { ...request, onOddity: oddities(hooks.report) }, signal),
    ...stepsOf(components),
    ...(config.sources.backup === undefined && log.queue !== "files"
      ? { flushes: (pchannel: string, signal: AbortSignal) => followFlushes(log, pchannel, signal) }
      : {}),
    binlogs,
    baseDeletes,
    sinks: rows,
    archives: sinks.flatMap(({ sink }) => sink.kind === "archive" ? [sink] : []),
    describeRecord: recordFacts,
    state,
    selects: selector.selects,
    selection: {
      include: transforms.select.include,
      exclude: transforms.select.exclude,
      allowEmpty: transforms.select.allow_empty,
      source: config.sources.backup === undefined ? "the source" : `the backup ${config.sources.backup.name}`,
    },
    selectsDatabase: selector.selectsDatabase,
    route: router.route,
    routeDatabase: router.routeDatabase,
    ddl: makeDdlRules({
      policy: transforms.ddl.policy,
      include: transforms.ddl.include,
      exclude: transforms.ddl.exclude,
    }),
    badRows: transforms.bad_rows === "dead_letter"
      ? { policy: "dead_letter", letters: await components.deadLetters() }
      : { policy: "hold" },
    unsupported: transforms.unsupported === "fill"
      ? { policy: "fill", values: transforms.fill_values }
      : { policy: transforms.unsupported },
    aliases: transforms.aliases,
    rbac: transforms.rbac || rows.some(({ sink }) => hasRbac(config.sinks[sink.name])),
    onPositionLost: config.on_position_lost,
    limits: {
      inFlightBytes: limits.in_flight,
      baseParallelism: limits.base_parallelism,
      baseMemoryBytes: limits.base_memory,
      batchRows: limits.batch_rows,
      batchBytes: limits.batch_size,
      laneDepth: limits.lane_depth,
      checkpointIntervalMs: limits.checkpoint_interval,
      refusedRows: limits.refused_rows,
      refusedBytes: limits.refused_size,
    },
    report: hooks.report,
    waits: components.waits,
    crash: hooks.crash,
    now: hooks.now,
  };
}

/** Where no queue is read. */
function stepsOf({ config, flushed }: Components): Pick<FlowDependencies, "steps"> {
  const { log } = config.sources;
  if (log?.type !== "files") return {};
  const { poll: pollMs, flush } = log;
  if (flush === undefined) return { steps: { pollMs } };
  const ask = async (...asked: Parameters<RowSink["flush"]>) => await (await flushed()).flush(...asked);
  return { steps: { pollMs, flush: { everyMs: flush.every, flush: ask } } };
}

const ODDITIES: Readonly<Record<LogOddity["kind"], string>> = {
  late: "a record came after the time tick that promised there would be none; it was applied with the next",
  staleTicks: "a time tick older than the one before it",
  duplicates: "a record that the producer had sent twice; the copy was left out",
  discarded: "a record older than what was released, which Milvus discards as well",
  skipped: "a record without value or header, which Milvus skips as well",
};

/** Says each kind once per pchannel. */
function oddities(report: FlowReport): (oddity: LogOddity) => void {
  return ({ pchannel, kind, offset }) =>
    report.warn(`${kind} ${pchannel}`, `${pchannel} holds ${ODDITIES[kind]} (offset ${offset})`);
}

function hasRbac(sink: Components["config"]["sinks"][string] | undefined): boolean {
  return sink?.type === "milvus" && sink.rbac;
}

interface Sources extends Pick<FlowDependencies, "baseDeletes"> {
  readonly meta: MetaSource;
  readonly log: LogSource;
  readonly binlogs: BinlogSource;
}

/** Of a running Milvus, or of the backup that stands in its place. */
async function openSources(components: Components, restoreTo: HybridTs | undefined): Promise<Sources> {
  if (components.config.sources.backup === undefined) {
    const [meta, log, binlogs] = await Promise.all([components.meta(), components.log(), components.binlogs()]);
    return { meta, log, binlogs, baseDeletes: log.queue === "files" ? "files" : "log_and_files" };
  }
  const [source, { metaAt }] = await Promise.all([components.backup(), import("../sources/backup/mod.ts")]);
  return {
    meta: restoreTo === undefined ? source.meta : metaAt(source, restoreTo),
    log: source.log ?? noLog(source.backup.name, source.backup.manifest?.queue ?? "kafka"),
    binlogs: source.binlogs,
    baseDeletes: "files",
  };
}

/** In the place of the log of a backup that has none: whoever asks for it is told. */
function noLog(backup: string, queue: Queue): LogSource {
  const refuse = (): never => {
    throw new TidemarkError("unsupported", `The backup ${backup} has no log archive`, {
      hint: "Restore its base only.",
    });
  };
  return {
    queue,
    topics: () => Promise.resolve([]),
    bounds: refuse,
    tail: refuse,
    check: () => Promise.resolve([]),
    close: () => Promise.resolve(),
  };
}
