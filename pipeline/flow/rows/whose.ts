/** What the run made on a target, as its state tells. Everything else there is somebody else's. */
import {
  type AliasPolicy,
  type Collection,
  type DdlOutcome,
  type DdlStep,
  forget,
  isNoted,
  qualifiedName,
  type TargetName,
  type Thing,
  thingText,
  type Whose,
  type WhoseCollection,
} from "../../model/mod.ts";
import type { RowSinkSetup } from "../dependencies.ts";
import type { CollectionState, SinkState } from "../state/mod.ts";

export interface WhoseOptions {
  readonly aliases: AliasPolicy;
  readonly onExisting: RowSinkSetup["onExisting"];
  readonly state: SinkState;
  readonly own: CollectionState;
  /** Where the collection is, or is to go. */
  readonly target: TargetName;
  /** A collection of the source as it is now; undefined: dropped. */
  readonly live: (id: bigint) => Collection | undefined;
}

export function whoseCollection(options: WhoseOptions): WhoseCollection {
  const { own, onExisting, aliases, state, target, live } = options;
  return {
    aliases,
    merge: onExisting === "merge",
    made: (thing) => hasMade(own, thing, onExisting),
    ...(own.adopt ? { adopt: (thing: Thing) => void own.made.add(thingText(thing)) } : {}),
    aliasOf: (alias, owner) => {
      for (const other of state.collections.values()) {
        if (other.phase === "dropped" || other.target.db !== target.db) continue;
        const same = owner.identity !== "" && other.identity !== ""
          ? owner.identity === other.identity
          : owner.name === other.target.name;
        if (!same) continue;
        const source = live(other.id);
        if (source?.aliases.includes(alias) === true) {
          return { clash: `${qualifiedName(source)} has that alias, too: both are in ${target.db} on the target` };
        }
        return other.adopt || other.made.has(thingText({ kind: "alias", name: alias })) ? "run" : "foreign";
      }
      return "foreign";
    },
  };
}

/** Whether the run made a thing of a collection, or the collection itself. */
export function hasMade(own: CollectionState, thing: Thing, onExisting: RowSinkSetup["onExisting"]): boolean {
  // An older version did not note into which collections it merged.
  if (own.adopt && thing.kind === "collection") return onExisting !== "merge";
  if (own.adopt && thing.kind === "partition" && own.partitions.includes(thing.name)) return true;
  return isNoted(own.made, thing);
}

/** Of the target as a whole. */
export function whoseTarget({ made }: SinkState): Whose {
  return { made: (thing) => isNoted(made, thing) };
}

/** Notes what a step is about to make. Returns what was not noted before. */
export function note(made: Set<string>, { makes = [] }: DdlStep): Thing[] {
  const fresh = makes.filter((thing) => !isNoted(made, thing));
  for (const thing of fresh) made.add(thingText(thing));
  return fresh;
}

/** What became of a step. `noted`: what was noted for it. */
export function settle(made: Set<string>, outcome: DdlOutcome, noted: readonly Thing[]): void {
  const { result, makes = [], ends = [] } = outcome;
  if (result === "refused") { for (const thing of noted) made.delete(thingText(thing)); }
  if (result !== "applied") return;
  for (const thing of [...ends, ...makes]) forget(made, thing);
  for (const thing of makes) made.add(thingText(thing));
}
