/** Lays one configuration file over another, as `--config base.yaml --config prod.yaml` asks. */
import type { ConfigNode, MapEntry, MapNode } from "./document.ts";

/** Maps are merged key by key; lists and scalars of `upper` replace those of `lower`; a null of `upper` removes the key. */
export function overlay(lower: ConfigNode, upper: ConfigNode): ConfigNode {
  if (lower.kind !== "map" || upper.kind !== "map") return upper;
  const entries = new Map<string, MapEntry>(lower.entries);
  for (const [key, entry] of upper.entries) {
    const below = entries.get(key);
    if (isNull(entry.value)) entries.delete(key);
    else if (below === undefined) entries.set(key, entry);
    else entries.set(key, { keyAt: entry.keyAt, value: overlay(below.value, entry.value) });
  }
  // A part that both files have is reported where the first one, usually the base, has it.
  return { kind: "map", at: lower.at, entries };
}

/** Removes keys without a value, so that `key:` is the same as no key. */
export function withoutNulls(node: MapNode): MapNode;
export function withoutNulls(node: ConfigNode): ConfigNode;
export function withoutNulls(node: ConfigNode): ConfigNode {
  if (node.kind === "list") return { ...node, items: node.items.map((item) => withoutNulls(item)) };
  if (node.kind !== "map") return node;
  const entries = new Map<string, MapEntry>();
  for (const [key, entry] of node.entries) {
    if (!isNull(entry.value)) entries.set(key, { ...entry, value: withoutNulls(entry.value) });
  }
  return { ...node, entries };
}

function isNull(node: ConfigNode): boolean {
  return node.kind === "scalar" && node.value === null;
}
