/** Patterns for `database.collection`: `*` stands for any characters, `?` for one; names have no dots. */

export interface Glob {
  readonly text: string;
  /** What the stars matched, the database's first, or undefined if the name does not match. */
  match(db: string, name: string): readonly string[] | undefined;
  matchDatabase(db: string): readonly string[] | undefined;
  /** True if the collection part takes every name. */
  readonly wholeDatabase: boolean;
  readonly stars: { readonly db: number; readonly name: number };
}

/**
 * Why a text is no pattern, as a sentence; undefined if it is one.
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * import { globProblem } from "./glob.ts";
 *
 * assert.equal(globProblem("sales.*"), undefined);
 * assert.match(globProblem("sales")!, /expected database.collection/);
 * ```
 */
export function globProblem(text: string): string | undefined {
  const parts = text.split(".");
  if (parts.length !== 2 || parts.some((part) => part === "")) {
    return `"${text}" is no pattern for collections: expected database.collection, for example "default.*"`;
  }
  const wrong = /[^\w*?$-]/.exec(text.replace(".", ""));
  if (wrong !== null) return `"${text}" has the character "${wrong[0]}", which no database or collection name can have`;
  return undefined;
}

/**
 * Throws RangeError for a text in which {@link globProblem} finds a problem.
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * import { compileGlob } from "./glob.ts";
 *
 * const glob = compileGlob("sales_*.orders");
 * assert.deepEqual(glob.match("sales_eu", "orders"), ["eu"]);
 * assert.equal(glob.match("sales_eu", "returns"), undefined);
 * ```
 */
export function compileGlob(text: string): Glob {
  const problem = globProblem(text);
  if (problem !== undefined) throw new RangeError(problem);
  const [db, name] = text.split(".") as [string, string];
  const dbPattern = regex(db);
  const namePattern = regex(name);
  return {
    text,
    wholeDatabase: /^\*+$/.test(name),
    stars: { db: starsOf(db), name: starsOf(name) },
    matchDatabase: (value) => dbPattern.exec(value)?.slice(1),
    match: (dbValue, nameValue) => {
      const inDb = dbPattern.exec(dbValue);
      const inName = inDb === null ? null : namePattern.exec(nameValue);
      return inName === null ? undefined : [...inDb!.slice(1), ...inName.slice(1)];
    },
  };
}

/**
 * How many `*` a part of a pattern has.
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * import { starsOf } from "./glob.ts";
 *
 * assert.equal(starsOf("*_orders_*"), 2);
 * ```
 */
export function starsOf(part: string): number {
  return part.split("*").length - 1;
}

function regex(part: string): RegExp {
  const source = part.replaceAll("$", "\\$").replaceAll("*", "(.*)").replaceAll("?", ".");
  return new RegExp(`^${source}$`, "su");
}
