/** Whether an object of one store is within reach of another, so that it need not be copied. */
import { isAbsolute, relative, resolve } from "node:path";
import type { ObjectStore } from "../../pipeline/model/mod.ts";
import { joinKey } from "./key.ts";
import { undecorated } from "./undecorated.ts";

interface Place {
  readonly folder?: unknown;
  readonly endpoint?: unknown;
  readonly bucket?: unknown;
  readonly prefix?: unknown;
  readonly customerKey?: unknown;
}

/**
 * The key under which `within` has the object that is `key` in `store`: both are folders of this machine, or the same bucket
 * at the same endpoint, whatever their prefixes and credentials, and without a key of the customer's, which another program
 * has not. Undefined where that is not so, or cannot be known.
 */
export function keyWithin(store: ObjectStore, key: string, within: ObjectStore): string | undefined {
  const from = undecorated(store) as Place;
  const to = undecorated(within) as Place;
  if (typeof from.folder === "string" && typeof to.folder === "string") {
    const path = relative(resolve(to.folder), resolve(from.folder, key));
    return path === "" || path.startsWith("..") || isAbsolute(path) ? undefined : path;
  }
  if (typeof from.bucket !== "string" || from.bucket !== to.bucket || from.endpoint !== to.endpoint) return undefined;
  if (from.customerKey !== undefined) return undefined;
  const full = joinKey(textOf(from.prefix), key);
  const prefix = textOf(to.prefix);
  if (prefix === "") return full;
  return full.startsWith(`${prefix}/`) ? full.slice(prefix.length + 1) : undefined;
}

function textOf(value: unknown): string {
  return typeof value === "string" ? value : "";
}
