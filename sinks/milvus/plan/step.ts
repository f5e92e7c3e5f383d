/** What a planned step of a collection does, and how it stands to things that the run did not make. */
import type { DdlKind, DdlStep, ForeignThing, Properties } from "../../../pipeline/model/mod.ts";
import { type Change, type Consent, type Owner, verdictOf } from "../../../pipeline/transforms/mod.ts";
import type { Action } from "./action.ts";

export interface PlannedStep extends DdlStep {
  readonly action: Action;
}

/** What a step makes and ends, and what is in its way. */
export interface StepDetails {
  readonly makes?: DdlStep["makes"];
  readonly ends?: DdlStep["ends"];
  readonly foreign?: ForeignThing | undefined;
  readonly doubts?: readonly string[];
}

export type AddStep = (kind: DdlKind, sentence: string, action: Action, details?: StepDetails) => void;

/** "a=1, b=2" */
export function pairsText(pairs: Properties): string {
  return Object.entries(pairs).map(([key, value]) => `${key}=${value}`).join(", ");
}

/**
 * Undefined where a change may touch the thing of `owner`. `what` says what is there: "prod is an alias of orders". What
 * `on_existing` and `rbac_mirror` allow was asked for once and for all; an alias that is taken is said each time.
 */
export function foreignThing(
  change: Change,
  owner: Owner,
  what: string,
  consents: readonly Consent[] = [],
): ForeignThing | undefined {
  const fate = verdictOf(change, owner, consents);
  switch (fate) {
    case "go":
      return undefined;
    case "taken":
      if (!consents.includes("aliases: take")) return undefined;
      return { fate, words: `${what}, which this run did not make: taken, as transforms.aliases says` };
    case "left":
      return { fate, words: `${what}, which this run did not make: it stays as it is` };
    case "held":
      return { fate, words: `${what}, which this run did not make` };
  }
}
