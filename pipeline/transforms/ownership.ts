/** The run touches only what it made: the one table of all that a sink can change, and whose thing each change may touch. */

/** `nobody`: there is none yet; `run`: this run, or one before it of the same state, made it; `foreign`: all else. */
export type Owner = "nobody" | "run" | "foreign";

/** What lets a change touch a foreign thing all the same. */
export type Consent = "aliases: take" | "on_existing: merge" | "on_existing: replace" | "rbac_mirror";

export interface OwnershipRule {
  /** The thing whose owner decides. */
  readonly thing: string;
  /**
   * Where that is foreign: `left` as it is, the run goes on and says so; `held`: what depends on it is not carried, since
   * rows would be wrong or missing.
   */
  readonly foreign: "left" | "held";
  readonly unless: Consent | undefined;
  readonly why: string;
}

/** Every change that a sink can make. Resource groups are not among them: no sink makes, alters or drops one. */
export const OWNERSHIP = {
  create_database: rule("a database of that name", "left", undefined, "it is used as it is"),
  alter_database: rule("the database", "left", undefined, "quotas and properties of a database are for all who use it"),
  drop_database: rule("the database", "left", undefined, "others may come to it"),

  create_collection: rule("a collection of that name", "held", "on_existing: merge", "rows of two would be mixed"),
  replace_collection: rule("a collection of that name", "held", "on_existing: replace", "it is dropped for it"),
  take_alias_name: rule("an alias of that name", "held", "aliases: take", "whoever reads by it would read another"),
  rename_collection: rule("the collection", "left", undefined, "whoever made it knows it by its name"),
  take_name_by_rename: rule("a collection of the new name", "held", undefined, "a rename takes nobody's place"),
  drop_collection: rule("the collection", "left", undefined, "it holds rows that the run did not write"),
  truncate_collection: rule("the collection", "held", undefined, "it holds rows that the run did not write"),
  begin_anew: rule("the collection", "held", undefined, "a fresh copy drops it first"),

  alter_schema: rule("the collection", "held", "on_existing: merge", "rows need the fields"),
  alter_definition: rule("the collection", "left", undefined, "consistency and description are its maker's"),
  set_property: rule("the value that is there", "left", undefined, "somebody set it there"),
  remove_property: rule("the value that is there", "left", undefined, "somebody set it there"),

  create_partition: rule("a partition of that name", "held", "on_existing: merge", "rows of two would be mixed"),
  drop_partition: rule("the partition", "held", undefined, "it holds rows that the run did not write"),

  create_index: rule("an index of that name or field", "left", undefined, "a field has one index"),
  replace_index: rule("the index that is there", "left", undefined, "somebody chose it for the target's queries"),
  alter_index: rule("the index", "left", undefined, "somebody chose it for the target's queries"),
  drop_index: rule("the index", "left", undefined, "somebody chose it for the target's queries"),

  alter_alias: rule("the alias", "left", "aliases: take", "whoever reads by it would read another"),
  drop_alias: rule("the alias", "left", undefined, "somebody gave it to the collection on the target"),

  load: rule("the collection", "left", "on_existing: merge", "its maker says whether it is in memory"),
  change_replicas: rule("the load", "left", undefined, "somebody loaded it for the target's queries"),
  release: rule("the load", "left", undefined, "somebody loaded it for the target's queries"),

  create_user: rule("a user of that name", "left", "rbac_mirror", "it may be another person"),
  bind_role: rule("the user, and the role", "left", "rbac_mirror", "rights of others are theirs"),
  unbind_role: rule("the binding", "left", "rbac_mirror", "rights of others are theirs"),
  drop_user: rule("the user", "left", "rbac_mirror", "somebody made it on the target"),
  create_role: rule("a role of that name", "left", "rbac_mirror", "it is used as it is"),
  grant: rule("the role", "left", "rbac_mirror", "whoever has a foreign role would get more rights"),
  revoke: rule("the grant", "left", "rbac_mirror", "somebody gave it on the target"),
  drop_role: rule("the role", "left", "rbac_mirror", "somebody made it on the target"),
  create_privilege_group: rule("a privilege group of that name", "left", "rbac_mirror", "it is used as it is"),
  alter_privilege_group: rule("the privilege group", "left", "rbac_mirror", "whoever has it would get other rights"),
  drop_privilege_group: rule("the privilege group", "left", "rbac_mirror", "somebody made it on the target"),
} as const satisfies Readonly<Record<string, OwnershipRule>>;

export type Change = keyof typeof OWNERSHIP;

function rule(
  thing: string,
  foreign: OwnershipRule["foreign"],
  unless: Consent | undefined,
  why: string,
): OwnershipRule {
  return { thing, foreign, unless, why };
}

/** `go`: it is done; `taken`: it is done to a foreign thing, because the configuration says so. */
export type Verdict = "go" | "taken" | OwnershipRule["foreign"];

/**
 * What becomes of a change to a thing of `owner`. `consents`: what the configuration says of foreign things.
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * import { verdictOf } from "./ownership.ts";
 *
 * assert.equal(verdictOf("alter_alias", "run"), "go");
 * assert.equal(verdictOf("alter_alias", "foreign"), "left");
 * assert.equal(verdictOf("alter_alias", "foreign", ["aliases: take"]), "taken");
 * assert.equal(verdictOf("drop_partition", "foreign"), "held");
 * ```
 */
export function verdictOf(change: Change, owner: Owner, consents: readonly Consent[] = []): Verdict {
  if (owner !== "foreign") return "go";
  const { unless, foreign } = OWNERSHIP[change];
  return unless !== undefined && consents.includes(unless) ? "taken" : foreign;
}
