/** What happens with a change of structure. */
import { assertNever } from "../errors.ts";
import type { DdlKind, DdlStep } from "../model/mod.ts";

export type DdlPolicy = "exception" | "evolve" | "try_evolve" | "lenient" | "ignore";

export interface DdlPolicyOptions {
  readonly policy: DdlPolicy;
  /** Only these kinds; undefined = all. */
  readonly include: readonly DdlKind[] | undefined;
  readonly exclude: readonly DdlKind[];
}

export interface DdlPolicyRules {
  /** `block`: the collection is held at this change. */
  decide(step: DdlStep): "apply" | "skip" | "block";
  /** What a refusal by the target means: hold the collection with the server's words, or say so and go on. */
  onRefusal(step: DdlStep): "block" | "report";
  /** As `decide` for a change that comes from the log as it is: false where it is left out or blocked. */
  allows(kind: DdlKind): boolean;
}

/** Kinds that destroy rows or what people made. */
const DESTROYS: ReadonlySet<DdlKind> = new Set([
  "drop_database",
  "drop_collection",
  "drop_partition",
  "truncate_collection",
]);

/**
 * `exception` blocks at the first change after the base; `evolve` applies every change, a refused one blocks;
 * `try_evolve` reports the refusal and goes on; `lenient` is that without what destroys; `ignore` applies none.
 * A kind that `exclude` names, or that a given `include` does not, is skipped under every policy. Dropping a database
 * must be included by name.
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * import { makeDdlRules } from "./ddl_policy.ts";
 *
 * const rules = makeDdlRules({ policy: "lenient", include: undefined, exclude: ["create_alias"] });
 * assert.ok(rules.allows("create_partition"));
 * assert.ok(!rules.allows("drop_partition"));
 * assert.ok(!rules.allows("create_alias"));
 * ```
 */
export function makeDdlRules(options: DdlPolicyOptions): DdlPolicyRules {
  const { policy, exclude } = options;
  const include = options.include === undefined ? undefined : new Set(options.include);
  const excluded = new Set(exclude);
  const left = (kind: DdlKind): boolean =>
    excluded.has(kind) || (include === undefined ? kind === "drop_database" : !include.has(kind));
  const verdict = (kind: DdlKind, destructive: boolean): "apply" | "skip" | "block" => {
    if (left(kind)) return "skip";
    switch (policy) {
      case "exception":
        return "block";
      case "evolve":
      case "try_evolve":
        return "apply";
      case "lenient":
        return destructive || DESTROYS.has(kind) ? "skip" : "apply";
      case "ignore":
        return "skip";
      default:
        return assertNever(policy);
    }
  };
  return {
    decide: (step) => verdict(step.kind, step.destructive),
    onRefusal: () => policy === "try_evolve" || policy === "lenient" ? "report" : "block",
    allows: (kind) => verdict(kind, DESTROYS.has(kind)) === "apply",
  };
}
