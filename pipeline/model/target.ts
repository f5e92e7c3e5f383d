/** What a collection of the source is on a target. */
import type { Collection } from "./catalog.ts";

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
