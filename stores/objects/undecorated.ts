/** Looking through decorators: a server-side copy needs the stores themselves, whatever is wrapped around them. */
import type { ObjectStore } from "../../pipeline/model/mod.ts";

/** A store that adds behaviour (retry, bandwidth) to another. */
export interface DecoratedStore extends ObjectStore {
  readonly inner: ObjectStore;
}

/** The store at the bottom of all decorators. */
export function undecorated(store: ObjectStore): ObjectStore {
  let current = store;
  while ("inner" in current) current = (current as DecoratedStore).inner;
  return current;
}
