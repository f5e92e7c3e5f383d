/** Finding out where in an etcd Milvus' metadata is, to tell what a wrong root path should have been. */
import { TidemarkError } from "../../pipeline/errors.ts";
import type { EtcdClient } from "../../stores/mod.ts";
import type { MetaRoots } from "./keys.ts";

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

/** There is no catalog where the config says: not an empty source but a wrong path, until shown otherwise. */
export async function emptyCatalog(
  etcd: EtcdClient,
  { metaRoot }: MetaRoots,
  signal: AbortSignal,
): Promise<TidemarkError> {
  const found = await findMetaRoots(etcd, signal);
  const message =
    `No Milvus metadata below ${metaRoot}/ in etcd at ${etcd.endpoint}: not one database, collection or user`;
  if (found.length === 0) {
    return new TidemarkError("not_found", `${message}, and none elsewhere in this etcd that this login may see`, {
      hint:
        "Check that sources.meta.endpoints is the etcd of the source, and sources.meta.root_path is etcd.rootPath of its milvus.yaml.",
    });
  }
  const settings = found.map((root) => {
    const at = root.lastIndexOf("/");
    const sub = root.slice(at + 1);
    return `root_path: ${root.slice(0, at)}` +
      (sub === metaRoot.slice(metaRoot.lastIndexOf("/") + 1) ? "" : ` with meta_sub_path: ${sub}`);
  });
  return new TidemarkError(
    "not_found",
    `${message}; this etcd has metadata below ${found.map((root) => `${root}/`).join(", ")}`,
    {
      hint: `Set sources.meta to ${settings.join(" or ")}.`,
    },
  );
}
