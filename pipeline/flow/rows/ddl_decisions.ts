/** What the DDL policy lets a target do, and what becomes of a step that the target refused. */
import { TidemarkError } from "../../errors.ts";
import type { DdlOutcome, DdlStep } from "../../model/mod.ts";
import type { FlowDependencies } from "../dependencies.ts";
import type { CollectionState } from "../state/mod.ts";
import { Held } from "./held.ts";

/** `say`: report what is left out; a reconcile does that itself. Throws {@link Held} by policy `exception`. */
export function isAllowed(
  deps: Pick<FlowDependencies, "ddl" | "report">,
  step: DdlStep,
  own: CollectionState,
  say = true,
): boolean {
  const decision = deps.ddl.decide(step);
  if (decision === "block") {
    throw new Held(
      new TidemarkError(
        "refused",
        `${step.sentence}: ddl.policy is "exception", so ${own.source.db}.${own.source.name} is held at this change`,
        {
          hint: "Apply the change on the target yourself or choose another policy, then start the run again.",
        },
      ),
    );
  }
  if (decision === "skip" && say) {
    deps.report.ddl({ ...step, result: "skipped", detail: "left out by transforms.ddl" });
  }
  return decision === "apply";
}

/** Returns where the policy lets a refusal pass; throws {@link Held} otherwise, and what is no refusal. */
export function passRefusal(
  { deps, refused }: {
    readonly deps: Pick<FlowDependencies, "ddl" | "report">;
    readonly refused: DdlOutcome[];
  },
  step: DdlStep,
  own: CollectionState,
  error: unknown,
): void {
  if (!(error instanceof TidemarkError) || (error.code !== "refused" && error.code !== "unsupported")) throw error;
  const outcome: DdlOutcome = { ...step, result: "refused", detail: error.message };
  deps.report.ddl(outcome);
  if (deps.ddl.onRefusal(step) === "report") {
    refused.push(outcome);
    return;
  }
  throw new Held(
    new TidemarkError("refused", `${step.sentence}: ${error.message}`, {
      hint: `${own.source.db}.${own.source.name} is held until it is mended and the run is started again.`,
      cause: error,
    }),
  );
}
