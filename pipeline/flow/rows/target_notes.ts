/** Notes of what the run makes beside collections: databases, users, roles, grants. */
import type { DdlOutcome, DdlStep, Thing } from "../../model/mod.ts";
import type { FlowReport } from "../dependencies.ts";
import { foreignText } from "./existing_target.ts";
import { note, settle } from "./whose.ts";

export interface TargetNotesOptions {
  readonly made: Set<string>;
  /** Name of the sink. */
  readonly sink: string;
  readonly report: FlowReport;
  /** Makes the state durable. */
  readonly save: () => Promise<void>;
}

/** For one reconcile. */
export class TargetNotes {
  readonly #o: TargetNotesOptions;
  readonly #noted = new Map<string, readonly Thing[]>();

  constructor(options: TargetNotesOptions) {
    this.#o = options;
  }

  /** Notes what a step makes before it does. */
  async gate(step: DdlStep, allowed: boolean): Promise<"apply" | "skip"> {
    if (!allowed) return "skip";
    const fresh = note(this.#o.made, step);
    this.#noted.set(step.sentence, fresh);
    if (fresh.length > 0) await this.#o.save();
    return "apply";
  }

  /** Notes what became of it, and says it. */
  settle(outcome: DdlOutcome): void {
    const { made, report, sink } = this.#o;
    settle(made, outcome, this.#noted.get(outcome.sentence) ?? []);
    const { foreign } = outcome;
    if (foreign === undefined) report.ddl(outcome);
    else report.warn(`foreign ${sink} ${outcome.sentence}`, foreignText(outcome, foreign));
  }
}
