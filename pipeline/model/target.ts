/** What a collection of the source is on a target. */
import type { Collection } from "./catalog.ts";
import type { WhoseCollection } from "./ownership.ts";

/** Where a source collection goes: the routed database and name. */
export interface TargetName {
  readonly db: string;
  readonly name: string;
}

/** A collection as the target should have it. */
export interface WantedCollection {
  readonly source: Collection;
  readonly target: TargetName;
}

/** The same, and whose is what is there. */
export interface OwnedCollection extends WantedCollection {
  readonly whose: WhoseCollection;
}
