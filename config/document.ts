/** A configuration as a tree that remembers where every part of it was written. */
import type { Position } from "./problem.ts";

export interface ScalarNode {
  readonly kind: "scalar";
  readonly at: Position;
  readonly value: string | number | boolean | null;
  /** As written, without quotes; shows `2.10` where the value is the number 2.1. */
  readonly source: string;
  /** True if the whole text came from one `${…}`: it may be read as a number or boolean where the schema wants one. */
  readonly fromVariable: boolean;
}

export interface ListNode {
  readonly kind: "list";
  readonly at: Position;
  readonly items: readonly ConfigNode[];
}

export interface MapEntry {
  readonly keyAt: Position;
  readonly value: ConfigNode;
}

export interface MapNode {
  readonly kind: "map";
  readonly at: Position;
  readonly entries: ReadonlyMap<string, MapEntry>;
}

export type ConfigNode = ScalarNode | ListNode | MapNode;

export type PlainValue = string | number | boolean | null | PlainValue[] | { [key: string]: PlainValue };

/** The tree without positions, as schemas take it. */
export function plainValue(node: ConfigNode): PlainValue {
  switch (node.kind) {
    case "scalar":
      return node.value;
    case "list":
      return node.items.map(plainValue);
    case "map": {
      // A null prototype, so that a key `__proto__` is a key like any other.
      const plain: { [key: string]: PlainValue } = Object.create(null);
      for (const [key, entry] of node.entries) plain[key] = plainValue(entry.value);
      return plain;
    }
  }
}

/** What stands at `path`, undefined if nothing does. */
export function nodeAt(root: ConfigNode, path: readonly PropertyKey[]): ConfigNode | undefined {
  let node: ConfigNode | undefined = root;
  for (const step of path) {
    if (node?.kind === "map") node = node.entries.get(String(step))?.value;
    else if (node?.kind === "list" && typeof step === "number") node = node.items[step];
    else return undefined;
  }
  return node;
}

/** The position of the key that `path` ends in; of the nearest thing around it where there is no such key. */
export function keyPosition(root: ConfigNode, path: readonly PropertyKey[]): Position {
  for (let length = path.length; length > 0; length--) {
    const parent = nodeAt(root, path.slice(0, length - 1));
    const last = path[length - 1]!;
    if (parent?.kind === "map") {
      const entry = parent.entries.get(String(last));
      if (entry !== undefined) return entry.keyAt;
    } else if (parent?.kind === "list" && typeof last === "number" && parent.items[last] !== undefined) {
      return parent.items[last]!.at;
    }
  }
  return root.at;
}

/** The position of the value at `path`; of the key around it where there is none. */
export function valuePosition(root: ConfigNode, path: readonly PropertyKey[]): Position {
  const node = nodeAt(root, path);
  return node !== undefined && node.kind === "scalar" ? node.at : keyPosition(root, path);
}

/** The same tree with `replace` applied to every scalar. */
export function mapScalars(node: ConfigNode, replace: (scalar: ScalarNode) => ScalarNode): ConfigNode {
  switch (node.kind) {
    case "scalar":
      return replace(node);
    case "list":
      return { ...node, items: node.items.map((item) => mapScalars(item, replace)) };
    case "map":
      return {
        ...node,
        entries: new Map(
          [...node.entries].map(([key, entry]) => [key, { ...entry, value: mapScalars(entry.value, replace) }]),
        ),
      };
  }
}

/** The same tree with the node at `path` replaced, or its key removed where `node` is undefined. */
export function withNode(root: ConfigNode, path: readonly PropertyKey[], node: ConfigNode | undefined): ConfigNode {
  if (path.length === 0) return node ?? root;
  const [step, ...rest] = path;
  if (root.kind === "list" && typeof step === "number") {
    const items = root.items.flatMap((item, index) => {
      if (index !== step) return [item];
      if (rest.length === 0 && node === undefined) return [];
      return [withNode(item, rest, node)];
    });
    return { ...root, items };
  }
  if (root.kind !== "map") return root;
  const key = String(step);
  const entries = new Map(root.entries);
  const entry = entries.get(key);
  if (rest.length === 0 && node === undefined) entries.delete(key);
  else if (entry !== undefined) entries.set(key, { ...entry, value: withNode(entry.value, rest, node) });
  else if (rest.length === 0 && node !== undefined) entries.set(key, { keyAt: node.at, value: node });
  return { ...root, entries };
}
