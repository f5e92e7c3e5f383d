/** Which resource groups of the target a collection is loaded into. */
import type { Properties } from "../../../pipeline/model/mod.ts";

/** Of the target: one for all, or the source's name -> the target's. */
export type ResourceGroups = string | Readonly<Record<string, string>>;

/** From 2.4 on a collection says itself where it wants to be loaded: names, separated by commas. */
const PROPERTY = "collection.resource_groups";

/** Empty: the target's default group. With several there is one for each replica. */
export function groupsOf(
  source: readonly string[] | undefined,
  groups: ResourceGroups | undefined,
): readonly string[] {
  if (groups === undefined) return [];
  if (typeof groups === "string") return [groups];
  const mapped = (source ?? []).map((name) => groups[name] ?? name);
  const names = new Set(mapped);
  // A default group that the map does not name is the target's as well.
  if (names.size === 1 && mapped[0] === DEFAULT_GROUP) return [];
  return names.size === 1 ? [...names] : mapped;
}

const DEFAULT_GROUP = "__default_resource_group";

/** The properties with the target's names of resource groups. */
export function withOwnGroups(properties: Properties, groups: ResourceGroups | undefined): Properties {
  const given = properties[PROPERTY];
  if (groups === undefined || given === undefined) return properties;
  const names = given.split(",").map((name) => name.trim()).filter(Boolean);
  const mapped = typeof groups === "string" ? [groups] : [...new Set(names.map((name) => groups[name] ?? name))];
  return { ...properties, [PROPERTY]: mapped.join(",") };
}
