/** What `check` says about the metadata source. */
import { toTidemarkError } from "../../pipeline/errors.ts";
import type { CheckLine, Queue } from "../../pipeline/model/mod.ts";
import type { EtcdClient } from "../../stores/mod.ts";
import { readCatalog } from "./catalog.ts";
import { CatalogKeys } from "./catalog_keys.ts";
import { CLOCK_AHEAD_MS } from "./clock.ts";
import { ClusterKeys } from "./cluster.ts";
import { CLOCK_KEYS, type MetaRoots } from "./keys.ts";
import { findQueueInUse, type QueueInUse } from "./queue_in_use.ts";
import { emptyCatalog } from "./roots.ts";
import { plural } from "../../pipeline/units/mod.ts";

const SKEW_WARN_MS = 5_000;

/** Releases whose metadata this reader was made for. */
const OLDEST = [2, 2] as const;
const NEWEST = [3, 0] as const;

/** Never throws but `aborted`: what fails is a line, and what depends on it is left out. */
export async function checkEtcd(
  etcd: EtcdClient,
  roots: MetaRoots,
  now: () => number,
  signal: AbortSignal,
  [rootPath, logQueue]: readonly [rootPath: string, logQueue: Queue | undefined],
): Promise<CheckLine[]> {
  const lines: CheckLine[] = [];
  const where = `etcd ${etcd.endpoint}`;
  const attempt = async (what: string, test: () => Promise<Omit<CheckLine, "what">>): Promise<boolean> => {
    try {
      lines.push({ what, ...await test() });
      return true;
    } catch (thrown) {
      const error = toTidemarkError(thrown);
      if (error.code === "aborted") throw error;
      lines.push({
        what,
        ok: "fail",
        detail: [error.message, error.hint ?? ""].join(". ").replace(/\.?\. $/, ""),
        code: error.code,
      });
      return false;
    }
  };
  const reached = await attempt(where, async () => {
    const key = `${roots.metaRoot}/root-coord/`;
    for await (const page of etcd.range(key, { limit: 1, keysOnly: true }, signal)) {
      if (page.kvs.length === 0) throw await emptyCatalog(etcd, roots, signal);
      return {
        ok: "ok",
        detail: `reached, may read ${roots.metaRoot}/ (revision ${page.revision}, cluster ${page.clusterId})`,
      };
    }
    throw new Error("no answer");
  });
  if (!reached) return lines;
  const cluster = new ClusterKeys();
  await attempt("metadata", async () => {
    const keys = new CatalogKeys(roots.positions);
    for (const prefix of ["root-coord/", "field-index/"]) {
      for await (const page of etcd.range(`${roots.metaRoot}/${prefix}`, {}, signal)) {
        for (const { key, value } of page.kvs) keys.apply(key.slice(roots.metaRoot.length + 1), value);
      }
    }
    const { catalog } = readCatalog(keys);
    return {
      ok: catalog.collections.length === 0 ? "warn" : "ok",
      detail: `${catalog.databases.length} ${
        plural(catalog.databases.length, "database")
      }, ${catalog.collections.length} ${plural(catalog.collections.length, "collection")} below ${roots.metaRoot}/`,
    };
  });
  await attempt("source version", async () => {
    for await (const page of etcd.range(`${roots.metaRoot}/session/`, {}, signal)) {
      for (const { key, value } of page.kvs) cluster.apply(key.slice(roots.metaRoot.length + 1), value);
    }
    return versionLine(cluster.serverVersion);
  });
  if (logQueue !== undefined) {
    await attempt(
      "source queue",
      async () => queueLine(await findQueueInUse(etcd, rootPath, roots.metaRoot, signal), logQueue),
    );
  }
  await attempt("source clock", async () => {
    for (const key of CLOCK_KEYS) {
      const kv = await etcd.get(`${roots.kvRoot}/${key}`, signal);
      if (kv !== undefined) cluster.applyClock(key, kv.value);
    }
    return clockLine(cluster.clockMs, roots, now());
  });
  return lines;
}

function queueLine(found: QueueInUse | undefined, logQueue: Queue): Omit<CheckLine, "what"> {
  if (found === undefined) return { ok: "ok", detail: `${logQueue} as configured; the metadata does not say it yet` };
  const { queue, because } = found;
  if (queue === logQueue) return { ok: "ok", detail: `${queue}, by ${because}` };
  const log = queue === "rocksmq"
    ? "it is inside of the server and cannot be read from outside: sources.log of type files does without a log"
    : `set sources.log to type ${queue}`;
  return { ok: "fail", code: "config", detail: `the source uses ${queue}, by ${because}, not ${logQueue}: ${log}` };
}

function versionLine(version: string): Omit<CheckLine, "what"> {
  if (version === "") {
    return { ok: "warn", detail: "no server is registered: the source does not run, so its log does not move" };
  }
  const parts = version.replace(/^v/, "").split(".").map(Number);
  const before = (a: readonly number[], b: readonly number[]): boolean =>
    a[0]! < b[0]! || a[0] === b[0] && a[1]! < b[1]!;
  if (before(parts, OLDEST)) {
    return {
      ok: "fail",
      code: "unsupported",
      detail: `Milvus ${version} is too old, expected ${OLDEST.join(".")} or later`,
    };
  }
  if (before(NEWEST, parts)) {
    return { ok: "warn", detail: `Milvus ${version} is newer than ${NEWEST.join(".")}, the newest this was made for` };
  }
  return { ok: "ok", detail: `Milvus ${version}` };
}

function clockLine(clockMs: number | undefined, { kvRoot }: MetaRoots, nowMs: number): Omit<CheckLine, "what"> {
  if (clockMs === undefined) {
    return {
      ok: "warn",
      detail: `no clock is saved below ${kvRoot}/: is kv_sub_path that of the source's milvus.yaml?`,
    };
  }
  const [low, high] = [clockMs - CLOCK_AHEAD_MS - nowMs, clockMs - nowMs];
  if (low > SKEW_WARN_MS || high < -SKEW_WARN_MS) {
    const off = low > 0 ? `${Math.round(low / 1000)} s behind` : `${Math.round(-high / 1000)} s ahead of`;
    return {
      ok: "warn",
      detail: `this machine's clock is ${off} the source's, or the source does not run; lag and times will be off`,
    };
  }
  return { ok: "ok", detail: "agrees with this machine's to some seconds" };
}
