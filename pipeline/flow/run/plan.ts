/** What a run would do now. Reads everything, changes nothing. */
import { TidemarkError, toTidemarkError } from "../../errors.ts";
import {
  type AgreedStatus,
  agreedStatus,
  BESIDE_ROWS,
  type DdlStep,
  type FileFinding,
  type HybridTs,
  type Position,
  qualifiedName,
  type Snapshot,
  type TargetName,
} from "../../model/mod.ts";
import { positionsOf } from "../../positions/mod.ts";
import { agreement } from "../agreed.ts";
import { agreedCollection, deleteHorizon, firstExactTs, liveSegments, makeCuts } from "../../transforms/mod.ts";
import type { FlowDependencies } from "../dependencies.ts";
import { foreseeDatabases, foreseeTarget, foreseeWhose, isGone } from "../rows/mod.ts";
import { foreseeLoad, type LoadChoice } from "../imports/mod.ts";
import { nameClashes, requireSelection, usableOf } from "../selection.ts";
import { staleCuts } from "../tail/mod.ts";
import { foreseeOverLong, type OverLongTexts } from "./over_long.ts";
import { isFinished, parseRunState, type RunState } from "../state/mod.ts";

export interface PlannedChannel {
  readonly vchannel: string;
  readonly pchannel: string;
  /** Where the tail begins, as the queue writes it: Kafka's is the offset. */
  readonly position: string;
  readonly ts: HybridTs;
  /** Back to where the log is read for deletes of the base; undefined: no live segments. */
  readonly deletesFrom: string | undefined;
}

export interface PlannedCollection {
  readonly id: bigint;
  readonly source: string;
  /** `base`: will be copied; `resume`: its copy goes on; `tail`: only the log is followed. */
  readonly action: "base" | "resume" | "tail";
  readonly segments: number;
  /** Rows of the segments, deleted ones included: what is dead is known when they are read. */
  readonly rows: bigint;
  readonly bytes: bigint;
  readonly channels: readonly PlannedChannel[];
  readonly findings: readonly FileFinding[];
  /** Why it waits, for what its metadata says cannot be used. */
  readonly unusable: string | undefined;
  /** Rows that a target would refuse, as far as statistics show them. */
  readonly overLong: readonly OverLongTexts[];
  /** Those of the findings for which its base could not be copied. */
  readonly unreadable: readonly FileFinding[];
  readonly sinks: readonly {
    readonly sink: string;
    readonly target: TargetName;
    readonly exists: boolean;
    readonly rowsThere: bigint;
    readonly steps: readonly DdlStep[];
    /** How the rows of its base would be brought; undefined: there is no base to bring. */
    readonly load: LoadChoice | undefined;
    /** Columns that it does not take as they are. */
    readonly agreed: readonly AgreedStatus[];
    /** Why a run would stop at this collection. */
    readonly problem: string | undefined;
  }[];
}

export interface Plan {
  readonly revision: bigint;
  readonly serverVersion: string;
  readonly collections: readonly PlannedCollection[];
  readonly notSelected: readonly string[];
  /** Databases, users and roles on each sink. */
  readonly targets: readonly { readonly sink: string; readonly steps: readonly DdlStep[] }[];
  /** Why a run would stop or hold a collection, one sentence each. */
  readonly problems: readonly string[];
  /** The first moment at which a copy is exact over all channels. */
  readonly exactFrom: HybridTs;
}

/** Files that are missing because the source compacts meanwhile are there in the next reading of its metadata. */
const ATTEMPTS = 3;

/** Throws `config` where nothing is selected. */
export async function planRun(deps: FlowDependencies, signal: AbortSignal): Promise<Plan> {
  for (let attempt = 1;; attempt++) {
    const plan = await planOnce(deps, signal);
    if (attempt === ATTEMPTS || plan.collections.every(({ unreadable }) => unreadable.length === 0)) return plan;
  }
}

async function planOnce(deps: FlowDependencies, signal: AbortSignal): Promise<Plan> {
  const snapshot = await deps.meta.snapshot(signal);
  const text = await deps.state.read(signal);
  const before = text === undefined ? undefined : parseRunState(text, deps.state.location);
  // As for a run: a restore that is done is no beginning for another.
  const state = before?.restore !== undefined && isFinished(before) ? undefined : before;
  requireSelection(deps, snapshot.catalog, state);
  const clashes = deps.sinks.length === 0 ? [] : nameClashes(deps, snapshot.catalog);
  const collections: PlannedCollection[] = [];
  const notSelected: string[] = [];
  for (const collection of snapshot.catalog.collections) {
    if (deps.selects(collection.dbName, collection.name)) {
      collections.push(await planOne(deps, snapshot, state, collection.id, signal));
    } else notSelected.push(qualifiedName(collection));
  }
  const targets = [];
  const refused: string[] = [];
  for (const setup of deps.sinks) {
    const { name } = setup.sink;
    try {
      const steps = await foreseeTarget(deps, setup, snapshot, state?.sinks.get(name), signal);
      targets.push({ sink: name, steps });
      refused.push(...await foreseeDatabases(setup.sink, steps, signal));
    } catch (thrown) {
      // Each collection says it already.
      if (signal.aborted) throw thrown;
    }
  }
  return {
    revision: snapshot.revision,
    serverVersion: snapshot.serverVersion,
    collections,
    notSelected,
    targets,
    problems: [
      ...clashes,
      ...refused,
      ...collections.flatMap(problemsOf),
      ...await foreseeStale(deps, snapshot, state, signal),
    ],
    exactFrom: firstExactTs(
      snapshot,
      snapshot.catalog.collections.filter(({ id }) => snapshot.unusable?.has(id) !== true),
    ),
  };
}

/** Collections that would wait, because the log does not hold what their own checkpoints on the source name. */
async function foreseeStale(
  deps: FlowDependencies,
  snapshot: Snapshot,
  state: RunState | undefined,
  signal: AbortSignal,
): Promise<string[]> {
  // What is restored has the log that it has.
  if (deps.baseDeletes === "files") return [];
  const begun = new Set([...state?.sinks.values() ?? []].flatMap(({ collections }) => [...collections.keys()]));
  const fresh = usableOf(deps, snapshot).filter(({ id }) => !begun.has(id));
  const stale = await staleCuts(deps.log, snapshot, fresh, signal);
  return fresh.flatMap((collection) => {
    const reason = stale.get(collection.id);
    return reason === undefined ? [] : [`${qualifiedName(collection)}: ${reason}`];
  });
}

function problemsOf({ source, sinks, unreadable, unusable }: PlannedCollection): string[] {
  if (unusable !== undefined) return [`${source}: ${unusable}`];
  const files = unreadable.map(({ path, detail }) => `${source}: ${path}: ${detail}`);
  return [...files, ...sinks.flatMap(({ problem }) => problem === undefined ? [] : [`${source}: ${problem}`])];
}

async function planOne(
  deps: FlowDependencies,
  snapshot: Snapshot,
  state: RunState | undefined,
  id: bigint,
  signal: AbortSignal,
): Promise<PlannedCollection> {
  const collection = snapshot.catalog.collections.find((item) => item.id === id)!;
  const unusable = snapshot.unusable?.get(id);
  const all = snapshot.segments.filter((segment) => segment.collectionId === id);
  const live = liveSegments(snapshot, collection);
  const report = await deps.binlogs.verify(id, all, signal);
  const horizons = deleteHorizon(snapshot, collection);
  const { format } = positionsOf(deps.log.queue);
  const textOf = (position: Position | undefined) => position === undefined ? undefined : format(position);
  const target = deps.route(collection.dbName, collection.name);
  const sinks = [];
  let action: PlannedCollection["action"] = "tail";
  for (const setup of deps.sinks) {
    const { sink, onExisting } = setup;
    const known = state?.sinks.get(sink.name)?.collections.get(id);
    const done = known?.phase === "tail" || known?.phase === "dropped";
    try {
      const there = await sink.state(target, signal);
      const gone = known !== undefined && await isGone(setup, known, target, signal);
      const own = gone ? undefined : known;
      const mine = own === undefined ? "base" : done ? "tail" : "resume";
      if (mine !== "tail") action = mine;
      const exists = await sink.identity(target, signal) !== undefined;
      const place = { target, state: state?.sinks.get(sink.name), own, exists };
      const whose = foreseeWhose(deps, setup, snapshot, collection, place);
      const goesOn = own !== undefined ? there.exists : exists && onExisting === "merge";
      const { columns, problem } = await agreement(deps, setup, { source: collection, target }, own, goesOn, signal);
      const steps = await sink.plan({ source: agreedCollection(collection, columns), target, whose }, signal);
      const held = steps.find(({ foreign }) => foreign?.fate === "held");
      const impossible = steps.find((step) => isInTheWay(deps, step, mine));
      // An alias that has the name is the plan's.
      const taken = own === undefined && exists && onExisting === "fail";
      const todo = live.filter(({ id }) => !own?.segmentsDone.includes(id));
      // What is replaced goes before the rows come.
      const made = there.exists && (own !== undefined || onExisting !== "replace");
      const gate = { setup, collection, target, own, agreed: columns, resumed: own !== undefined, made };
      sinks.push({
        sink: sink.name,
        target,
        load: mine === "tail" ? undefined : await foreseeLoad(gate, todo, signal),
        exists: there.exists,
        rowsThere: there.rows,
        steps,
        problem: taken
          ? `${target.db}.${target.name} exists on ${sink.name} already: set sinks.${sink.name}.on_existing to merge or replace`
          : held !== undefined
          ? `${held.sentence}: ${held.foreign!.words}`
          : mine !== "tail" && problem !== undefined
          ? problem
          : impossible === undefined
          ? undefined
          : `${impossible.sentence}: ${impossible.impossible}`,
        agreed: columns.map(agreedStatus),
      });
    } catch (thrown) {
      if (signal.aborted) throw thrown;
      const error = thrown instanceof TidemarkError ? thrown : toTidemarkError(thrown);
      if (!done) action = known === undefined ? "base" : "resume";
      sinks.push({
        sink: sink.name,
        target,
        exists: false,
        rowsThere: 0n,
        steps: [],
        load: undefined,
        agreed: [],
        problem: error.message,
      });
    }
  }
  return {
    id,
    source: qualifiedName(collection),
    action,
    segments: live.length,
    rows: live.reduce((sum, segment) => sum + segment.rows, 0n),
    bytes: live.reduce((sum, segment) => sum + bytesOf(segment.binlogs), 0n),
    unusable,
    channels: unusable !== undefined ? [] : makeCuts(snapshot, [collection]).map((cut) => ({
      vchannel: cut.vchannel,
      pchannel: cut.pchannel,
      position: format(cut.offset),
      ts: cut.ts,
      deletesFrom: textOf(horizons.get(cut.vchannel)),
    })),
    findings: report.findings,
    overLong: action === "tail" || deps.sinks.length === 0
      ? []
      : await foreseeOverLong(deps.binlogs, collection, live, signal),
    unreadable: action === "tail" && deps.archives.length === 0
      ? []
      : report.findings.filter(({ kind, segmentId }) =>
        (kind === "missing" || kind === "wrong_size" || kind === "unreadable") &&
        live.some((segment) => segment.id === segmentId)
      ),
    sinks,
  };
}

/** Whether a step that nothing does would hold the collection. */
function isInTheWay(
  { ddl }: Pick<FlowDependencies, "ddl">,
  step: DdlStep,
  action: PlannedCollection["action"],
): boolean {
  if (step.impossible === undefined || BESIDE_ROWS.has(step.kind)) return false;
  return step.kind === "create_collection" || action !== "tail" || ddl.onRefusal(step) === "block";
}

function bytesOf(files: Snapshot["segments"][number]["binlogs"]): bigint {
  let sum = 0n;
  for (const field of files) for (const file of field.files) sum += file.size;
  return sum;
}
