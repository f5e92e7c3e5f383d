/**
 * Loads, releases and index builds that the target refused. Rows need none of them, so they never hold any: each is tried
 * again beside the rows, with back-off, until the target takes it; the status says why and when next.
 */
import { toTidemarkError } from "../../errors.ts";
import type { DdlOutcome } from "../../model/mod.ts";
import type { OpenWait } from "../../waits.ts";
import { Slots } from "../base/mod.ts";
import type { FlowDependencies, RowSinkSetup } from "../dependencies.ts";
import { pause } from "../../pause.ts";
import type { CollectionState, SinkState } from "../state/mod.ts";

export interface BesideOptions {
  readonly deps: Pick<FlowDependencies, "now" | "report" | "waits">;
  readonly setup: RowSinkSetup;
  readonly state: SinkState;
  readonly changed: () => void;
  /** Brings a collection to what is wanted once more; what becomes of it is told by {@link Beside.note}. */
  readonly again: (id: bigint, initial: boolean) => Promise<void>;
}

interface Entry {
  readonly own: CollectionState;
  readonly initial: boolean;
  /** Shown from the first refusal on. */
  wait: OpenWait | undefined;
  outcomes: readonly DdlOutcome[];
  tries: number;
  nextMs: number;
  underWay: boolean;
}

const FIRST_MS = 1_000;
const LONGEST_MS = 300_000;
/** What passes by itself is asked for more often. */
const LONGEST_PASSING_MS = 5_000;
/** For what makes queries fail while it is tried. */
const DISTURBING_MS = 600_000;
const LOOK_MS = 200;
const AT_ONCE = 4;
/** How long the end of a run waits for what passes by itself. */
const END_MS = 120_000;

export class Beside {
  readonly #o: BesideOptions;
  readonly #entries = new Map<bigint, Entry>();
  readonly #slots = new Slots(AT_ONCE);
  readonly #underWay = new Set<Promise<void>>();

  constructor(options: BesideOptions) {
    this.#o = options;
  }

  /** What became of the steps of this kind for a collection; none: all is as wanted. */
  note(own: CollectionState, outcomes: readonly DdlOutcome[], initial: boolean): void {
    const { deps, setup, changed } = this.#o;
    const before = this.#entries.get(own.id);
    const refused = outcomes.filter(({ result }) => result === "refused");
    if (refused.length === 0) {
      this.#forget(own);
      return;
    }
    const entry: Entry = before ??
      { own, initial, wait: undefined, outcomes: [], tries: 0, nextMs: 0, underWay: false };
    this.#entries.set(own.id, entry);
    entry.outcomes = refused;
    entry.nextMs = deps.now() + delayOf(refused, entry.tries++);
    const text = refused.map(({ sentence, detail }) => `${sentence}: the target refused: ${detail}`).join("; ");
    const reason = `${text}. ${this.#hint(refused)}`;
    if (entry.wait === undefined) {
      const collection = `${own.source.db}.${own.source.name}`;
      entry.wait = deps.waits.begin({ component: `sinks.${setup.sink.name}`, collection }, reason, entry.nextMs);
    } else entry.wait.say(reason, entry.nextMs);
    for (const outcome of refused) {
      deps.report.warn(`refused ${setup.sink.name} ${outcome.sentence}`, `${text}. ${this.#hint(refused)}`);
    }
    own.refused = refused.filter((outcome) => this.#counts(outcome)).map(({ sentence }) => sentence).join("; ");
    changed();
  }

  /** Looks at a collection soon: something was done to it after which the target may lack an index or a load. */
  lookAgain(own: CollectionState): void {
    if (this.#entries.has(own.id)) return;
    const entry = { own, initial: false, wait: undefined, outcomes: [], tries: 0, nextMs: 0, underWay: false };
    this.#entries.set(own.id, entry);
  }

  /** What runs before this one left. */
  resume(): void {
    for (const own of this.#o.state.collections.values()) {
      if (own.refused === "" || own.phase !== "tail") continue;
      this.lookAgain(own);
    }
  }

  /** Tries what is due, until the signal fires. */
  async run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      await pause(LOOK_MS, signal).catch(() => {});
      const now = this.#o.deps.now();
      for (const entry of this.#entries.values()) {
        if (entry.underWay || entry.nextMs > now || signal.aborted) continue;
        const trying = this.#try(entry, signal).finally(() => this.#underWay.delete(trying));
        this.#underWay.add(trying);
      }
    }
    await Promise.all(this.#underWay);
  }

  /** Whether the target has loaded it and built its indexes, as far as it can: waits for what passes by itself. */
  async settled(id: bigint, signal: AbortSignal): Promise<boolean> {
    const end = this.#o.deps.now() + END_MS;
    for (;;) {
      const entry = this.#entries.get(id);
      if (entry === undefined) return true;
      if (!isPassing(entry) || this.#o.deps.now() > end) return false;
      await pause(Math.max(0, entry.nextMs - this.#o.deps.now()), signal);
      await this.#try(entry, signal);
    }
  }

  /** The run ends: a last attempt at each, some for what passes by itself. Returns what counts as a failure of the run. */
  async finish(signal: AbortSignal): Promise<DdlOutcome[]> {
    await Promise.all([...this.#entries.values()].map((entry) => this.#try(entry, signal)));
    await Promise.all([...this.#entries.keys()].map((id) => this.settled(id, signal)));
    return [...this.#entries.values()].flatMap(({ outcomes }) => outcomes.filter((item) => this.#counts(item)));
  }

  async #try(entry: Entry, signal: AbortSignal): Promise<void> {
    if (entry.underWay) return;
    entry.underWay = true;
    const { own } = entry;
    try {
      await this.#slots.run(async () => {
        if (signal.aborted || this.#entries.get(own.id) !== entry) return;
        if (own.phase === "dropped" || own.blocked !== undefined) return this.#forget(own);
        const outcomes = entry.outcomes;
        await this.#o.again(own.id, entry.initial);
        // Nothing was said of it: the collection is gone from the source, or somebody else holds it.
        if (this.#entries.get(own.id) === entry && entry.outcomes === outcomes) this.#forget(own);
      });
    } catch (thrown) {
      if (signal.aborted) return;
      // Of something else of the collection, which shows where that is looked at.
      entry.nextMs = this.#o.deps.now() + delayOf(entry.outcomes, entry.tries++);
      entry.wait?.say(toTidemarkError(thrown).message, entry.nextMs);
    } finally {
      entry.underWay = false;
    }
  }

  #forget(own: CollectionState): void {
    const entry = this.#entries.get(own.id);
    entry?.wait?.[Symbol.dispose]();
    this.#entries.delete(own.id);
    if (own.refused === "" && entry === undefined) return;
    own.refused = "";
    this.#o.changed();
  }

  /** Best effort is what it says. */
  #counts({ kind }: DdlOutcome): boolean {
    return this.#o.setup.load !== "best_effort" || (kind !== "load" && kind !== "release");
  }

  #hint(refused: readonly DdlOutcome[]): string {
    const { name } = this.#o.setup.sink;
    return refused.some(({ kind }) => kind === "load" || kind === "release")
      ? `Rows go on, it is tried again. sinks.${name}.replicas and resource_groups say how to load, load: best_effort takes what the target can, load: never leaves it to you`
      : "Rows go on, it is tried again";
  }
}

function isPassing({ outcomes }: Entry): boolean {
  return outcomes.length === 0 || outcomes.some(({ passing }) => passing === true);
}

/** Before the next attempt, after `tries` earlier ones. */
function delayOf(outcomes: readonly DdlOutcome[], tries: number): number {
  if (outcomes.some(({ disturbs }) => disturbs === true)) return DISTURBING_MS;
  const passing = outcomes.length > 0 && outcomes.every(({ passing }) => passing === true);
  return Math.min(passing ? LONGEST_PASSING_MS : LONGEST_MS, FIRST_MS * 2 ** Math.min(tries, 20));
}
