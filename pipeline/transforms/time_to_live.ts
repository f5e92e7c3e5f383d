/** How long a collection's rows live. */
import type { Collection } from "../model/mod.ts";

/**
 * ms, from the property `collection.ttl.seconds`; undefined where rows live for ever.
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * import { timeToLive } from "./time_to_live.ts";
 *
 * assert.equal(timeToLive({ properties: { "collection.ttl.seconds": "70" } }), 70_000);
 * assert.equal(timeToLive({ properties: { "collection.ttl.seconds": "0" } }), undefined);
 * assert.equal(timeToLive({ properties: {} }), undefined);
 * ```
 */
export function timeToLive({ properties }: Pick<Collection, "properties">): number | undefined {
  const seconds = Number(properties["collection.ttl.seconds"] ?? "0");
  return Number.isFinite(seconds) && seconds > 0 ? seconds * 1000 : undefined;
}
