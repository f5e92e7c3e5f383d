/** Which collections are carried. */
import { compileGlob, type Glob } from "./glob.ts";

export interface Selector {
  /** True if a pattern of `include` matches and none of `exclude` does. */
  readonly selects: (db: string, name: string) => boolean;
  /**
   * True if a database is carried even while it has no collection: one that `include` names or takes whole, and that
   * `exclude` does not take whole. `*.orders` asks for collections wherever they are, not for every database.
   */
  readonly selectsDatabase: (db: string) => boolean;
}

/**
 * Throws RangeError for a text that is no pattern; check with globProblem where positions are known.
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * import { makeSelector } from "./select.ts";
 *
 * const selector = makeSelector({ include: ["sales.*"], exclude: ["sales.scratch_?"] });
 * assert.ok(selector.selects("sales", "orders"));
 * assert.ok(!selector.selects("sales", "scratch_1"));
 * assert.ok(selector.selectsDatabase("sales"));
 * ```
 */
export function makeSelector(options: { include: readonly string[]; exclude: readonly string[] }): Selector {
  const include = options.include.map(compileGlob);
  const exclude = options.exclude.map(compileGlob);
  const any = (globs: readonly Glob[], db: string, name: string) =>
    globs.some((glob) => glob.match(db, name) !== undefined);
  return {
    selects: (db, name) => any(include, db, name) && !any(exclude, db, name),
    selectsDatabase: (db) =>
      include.some((glob, i) =>
        glob.matchDatabase(db) !== undefined && (glob.wholeDatabase || !/[*?]/.test(options.include[i]!.split(".")[0]!))
      ) &&
      !exclude.some((glob) => glob.wholeDatabase && glob.matchDatabase(db) !== undefined),
  };
}
