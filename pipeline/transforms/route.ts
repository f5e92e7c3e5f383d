/** Under which names collections go to the target. */
import type { TargetName } from "../model/mod.ts";
import { compileGlob, globProblem, starsOf } from "./glob.ts";

export interface RouteRule {
  readonly from: string;
  /**
   * Each `*` takes what the `*` of the same place in `from` matched: of the database for the database, of the collection for
   * the collection. Where a part has more `*` than its own part of `from`, they are taken from left to right over both.
   */
  readonly to: string;
}

/** Several source collections that would become one on the target. */
export interface RouteCollision {
  readonly target: TargetName;
  readonly sources: readonly TargetName[];
}

export interface Router {
  /** The first rule that matches decides; without one the name stays. */
  readonly route: (db: string, name: string) => TargetName;
  /** Where a database goes as a whole: the first rule that takes all of its collections decides. */
  readonly routeDatabase: (db: string) => string;
  readonly collisions: (sources: readonly TargetName[]) => RouteCollision[];
  /** Which of `sources` go to `target`. */
  readonly sourcesOf: (target: TargetName, sources: readonly TargetName[]) => TargetName[];
}

/**
 * Why a rule cannot be used, as a sentence; undefined if it can.
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * import { routeProblem } from "./route.ts";
 *
 * assert.equal(routeProblem({ from: "sales.*", to: "sales_dr.*" }), undefined);
 * assert.match(routeProblem({ from: "sales.orders", to: "sales_dr.*" })!, /there is nothing to put there/);
 * ```
 */
export function routeProblem(rule: RouteRule): string | undefined {
  const problem = globProblem(rule.from) ?? globProblem(rule.to);
  if (problem !== undefined) return problem;
  if (rule.to.includes("?")) return `"${rule.to}" has a "?": a target name may only carry over what a "*" matched`;
  const { from, to } = { from: starsOf(rule.from), to: starsOf(rule.to) };
  if (to > from) return `"${rule.to}" has ${to} "*" but "${rule.from}" only ${from}: there is nothing to put there`;
  return undefined;
}

/**
 * Throws RangeError for a rule in which {@link routeProblem} finds a problem.
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * import { makeRouter } from "./route.ts";
 *
 * const router = makeRouter([{ from: "sales.*", to: "dr.sales_*" }, { from: "*.*", to: "dr.*" }]);
 * assert.deepEqual(router.route("sales", "orders"), { db: "dr", name: "sales_orders" });
 * const both = [{ db: "a", name: "books" }, { db: "b", name: "books" }];
 * assert.throws(() => makeRouter([{ from: "a", to: "b" }]), RangeError);
 * assert.equal(makeRouter([]).collisions(both).length, 0);
 * ```
 */
export function makeRouter(rules: readonly RouteRule[]): Router {
  const compiled = rules.map((rule) => {
    const problem = routeProblem(rule);
    if (problem !== undefined) throw new RangeError(problem);
    const [db, name] = rule.to.split(".") as [string, string];
    const [fromDb, fromName] = rule.from.split(".") as [string, string];
    const inDb = starsOf(fromDb);
    const partwise = starsOf(db) <= inDb && starsOf(name) <= starsOf(fromName);
    return { from: compileGlob(rule.from), db, name, nameFrom: partwise ? inDb : starsOf(db) };
  });
  const route = (db: string, name: string): TargetName => {
    for (const rule of compiled) {
      const matched = rule.from.match(db, name);
      if (matched === undefined) continue;
      return { db: fill(rule.db, matched), name: fill(rule.name, matched.slice(rule.nameFrom)) };
    }
    return { db, name };
  };
  return {
    route,
    routeDatabase: (db) => {
      for (const rule of compiled) {
        const matched = rule.from.wholeDatabase ? rule.from.matchDatabase(db) : undefined;
        // A target database made of a collection's name is not one place for the whole database.
        if (matched !== undefined && starsOf(rule.db) <= matched.length) return fill(rule.db, matched);
      }
      return db;
    },
    collisions: (sources) => {
      const byTarget = Map.groupBy(sources, (source) => key(route(source.db, source.name)));
      return [...byTarget.values()].filter((group) => group.length > 1)
        .map((group) => ({ target: route(group[0]!.db, group[0]!.name), sources: group }));
    },
    sourcesOf: (target, sources) => sources.filter((source) => key(route(source.db, source.name)) === key(target)),
  };
}

function fill(pattern: string, matched: readonly string[]): string {
  let next = 0;
  return pattern.replaceAll("*", () => matched[next++]!);
}

function key(name: TargetName): string {
  return `${name.db}.${name.name}`;
}
