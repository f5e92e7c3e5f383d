/** Finding out where in an etcd Milvus' metadata is, to tell what a wrong root path should have been. */
import { TidemarkError, toTidemarkError } from "../../pipeline/errors.ts";
import { type HybridTs, isoOfHybrid } from "../../pipeline/model/mod.ts";
import type { EtcdClient } from "../../stores/mod.ts";
import { readCatalog } from "./catalog.ts";
import { CatalogKeys } from "./catalog_keys.ts";
import type { MetaRoots } from "./keys.ts";
import { plural } from "../../pipeline/units/mod.ts";

const MAX_DEPTH = 4;
const MAX_PROBES = 300;

/** Meta roots that exist, for example `by-dev/meta`. Empty where the login may not list keys. */
export async function findMetaRoots(etcd: EtcdClient, signal: AbortSignal): Promise<string[]> {
  const roots: string[] = [];
  let probes = 0;
  const first = async (prefix: string, from: string): Promise<string | undefined> => {
    probes++;
    for await (const page of etcd.range(prefix, { from, limit: 1, keysOnly: true }, signal)) return page.kvs[0]?.key;
  };
  const descend = async (prefix: string, depth: number): Promise<void> => {
    if (depth > 0 && await first(`${prefix}root-coord/`, "") !== undefined) {
      roots.push(prefix.slice(0, -1));
      return;
    }
    if (depth === MAX_DEPTH) return;
    let from = prefix;
    while (probes < MAX_PROBES) {
      const key = await first(prefix, from);
      if (key === undefined) return;
      const end = key.indexOf("/", prefix.length);
      if (end > prefix.length) await descend(key.slice(0, end + 1), depth + 1);
      // "0" is the character behind "/": the next key that is not below the folder just seen.
      from = end > prefix.length ? `${key.slice(0, end)}0` : `${key}\0`;
    }
  };
  try {
    await descend("", 0);
  } catch (error) {
    if (error instanceof TidemarkError && error.code === "authentication") return [];
    throw error;
  }
  return roots;
}

/** What tells one cluster's root from another's. */
export interface FoundRoot {
  /** For example `by-dev/meta`. */
  readonly root: string;
  readonly collections: number;
  /** When the oldest of them was made; undefined: there are none, or they could not be read. */
  readonly since: HybridTs | undefined;
}

/** Roots that are looked into. */
const DESCRIBED = 8;

async function describeRoot(
  etcd: EtcdClient,
  root: string,
  positions: MetaRoots["positions"],
  signal: AbortSignal,
): Promise<FoundRoot> {
  try {
    const keys = new CatalogKeys(positions);
    for await (const page of etcd.range(`${root}/root-coord/`, {}, signal)) {
      for (const { key, value } of page.kvs) keys.apply(key.slice(root.length + 1), value);
    }
    const { collections } = readCatalog(keys).catalog;
    const since = collections.reduce<HybridTs | undefined>(
      (min, { createTs }) => min === undefined || createTs < min ? createTs : min,
      undefined,
    );
    return { root, collections: collections.length, since };
  } catch (thrown) {
    signal.throwIfAborted();
    const error = toTidemarkError(thrown);
    if (error.code === "unreachable") throw error;
    return { root, collections: 0, since: undefined };
  }
}

/** The likeliest to be a source first: a copy's collections are younger than their originals, and a new target has none. */
export function likeliestFirst(roots: readonly FoundRoot[]): FoundRoot[] {
  const age = ({ since }: FoundRoot) => since ?? (1n << 63n);
  return [...roots].sort((a, b) => age(a) < age(b) ? -1 : age(a) > age(b) ? 1 : a.root < b.root ? -1 : 1);
}

function rootText({ root, collections, since }: FoundRoot): string {
  if (since === undefined) return `${root}/ (no collections)`;
  return `${root}/ (${collections} ${plural(collections, "collection")}, the oldest of ${
    isoOfHybrid(since).slice(0, 10)
  })`;
}

/** There is no catalog where the config says: not an empty source but a wrong path, until shown otherwise. */
export async function emptyCatalog(
  etcd: EtcdClient,
  { metaRoot, positions }: MetaRoots,
  signal: AbortSignal,
): Promise<TidemarkError> {
  const names = await findMetaRoots(etcd, signal);
  const found: FoundRoot[] = [];
  for (const name of names.slice(0, DESCRIBED)) found.push(await describeRoot(etcd, name, positions, signal));
  for (const root of names.slice(DESCRIBED)) found.push({ root, collections: 0, since: undefined });
  const message =
    `No Milvus metadata below ${metaRoot}/ in etcd at ${etcd.endpoint}: not one database, collection or user`;
  if (found.length === 0) {
    return new TidemarkError("not_found", `${message}, and none elsewhere in this etcd that this login may see`, {
      hint:
        "Check that sources.meta.endpoints is the etcd of the source, and sources.meta.root_path is etcd.rootPath of its milvus.yaml.",
    });
  }
  const sorted = likeliestFirst(found);
  const settings = sorted.map(({ root }) => {
    const at = root.lastIndexOf("/");
    const sub = root.slice(at + 1);
    return `root_path: ${root.slice(0, at)}` +
      (sub === metaRoot.slice(metaRoot.lastIndexOf("/") + 1) ? "" : ` with meta_sub_path: ${sub}`);
  });
  return new TidemarkError(
    "not_found",
    `${message}; this etcd has metadata below ${sorted.map(rootText).join(", ")}`,
    {
      hint: `Set sources.meta to ${settings.join(" or ")}` +
        (settings.length === 1 ? "." : ": that of the source. A target that shares this etcd has a root of its own."),
    },
  );
}
