/** Rows that only the target has because the source has expired and compacted them away. */
import { keysOf } from "../../columns/mod.ts";
import {
  type Collection,
  type HybridTs,
  msOfHybrid,
  partitionKey,
  primaryKey,
  type Snapshot,
} from "../../model/mod.ts";
import type { FlowDependencies } from "../dependencies.ts";
import { isBehind, nameOf, partsOfName } from "./log.ts";

/**
 * Those of `names` whose last insert in the log is past its time to live at the moment and was not deleted. Of rows older
 * than what the log holds, and of imported ones, nobody can tell any more: they are taken for expired, as rows of such a
 * collection end so.
 */
export async function expiredAtSource(
  deps: Pick<FlowDependencies, "log" | "follow">,
  snapshot: Snapshot,
  collection: Collection,
  names: ReadonlySet<string>,
  ttlMs: number,
  moment: HybridTs,
  signal: AbortSignal,
): Promise<Set<string>> {
  const key = primaryKey(collection.schema)!;
  const byKey = Map.groupBy(names, (name) => partsOfName(name).key);
  const scoped = partitionKey(collection.schema) === undefined;
  /** Name -> time of its last insert; undefined: deleted since. */
  const last = new Map<string, HybridTs | undefined>();
  let whole = !snapshot.imports.some(({ collectionId }) => collectionId === collection.id);
  for (let i = 0; i < collection.vchannels.length; i++) {
    const vchannel = collection.vchannels[i]!;
    const pchannel = collection.pchannels[i]!;
    const bounds = await deps.log.bounds(pchannel, signal);
    const start = collection.startOffsets.get(pchannel) ?? 0n;
    if (start < bounds.earliest) whole = false;
    const offset = start < bounds.earliest ? bounds.earliest : start;
    if (offset >= bounds.latest) continue;
    const select = (event: { vchannel: string; ts: HybridTs }) => event.vchannel === vchannel && event.ts <= moment;
    const request = { pchannel, from: { offset, tick: 0n }, topicId: bounds.topicId, select };
    for await (const group of deps.follow(request, signal)) {
      for (const event of group.events) {
        if (event.kind === "insert") {
          for (const value of keysOf(event.fieldsData, key, event.rows).values) {
            const name = nameOf(scoped ? event.partitionId : 0n, value);
            if (names.has(name)) last.set(name, event.ts);
          }
        } else if (event.kind === "delete") {
          for (const value of event.keys.values) {
            for (const name of byKey.get(value) ?? []) {
              const everywhere = !scoped || event.partitionId === -1n;
              if (everywhere || partsOfName(name).partition === event.partitionId) last.set(name, undefined);
            }
          }
        }
      }
      if (group.tick >= moment || isBehind(group, bounds.latest)) break;
    }
  }
  const end = msOfHybrid(moment);
  return new Set([...names].filter((name) => {
    if (!last.has(name)) return !whole;
    const ts = last.get(name);
    return ts !== undefined && msOfHybrid(ts) + ttlMs <= end;
  }));
}
