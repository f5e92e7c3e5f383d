/** `check`: reach, version, login, health and quotas, rights. Nothing is changed, nothing is waited for. */
import { type TidemarkError, toTidemarkError } from "../../pipeline/errors.ts";
import type { BulkImport, CheckLine } from "../../pipeline/model/mod.ts";
import { QuotaState } from "../../pipeline/proto/gen/milvus_pb.ts";
import { unless } from "./actual.ts";
import { METHOD, type MilvusClient, type Request } from "./client.ts";
import { databasesRefused } from "./database_right.ts";
import { isMissingRight } from "./fault.ts";
import { featuresOf } from "./features.ts";
import { plural } from "../../pipeline/units/mod.ts";

const TIMEOUT_MS = 10_000;

/** Releases that are known to lack what is needed (`dbname`, partition keys, exact counts). */
const OLDEST = 202;

export async function checkTarget(
  client: MilvusClient,
  user: string | undefined,
  timeoutMs: number,
  signal: AbortSignal,
): Promise<CheckLine[]> {
  const lines: CheckLine[] = [];
  const what = `milvus ${client.address}`;
  const request = (words: string): Request => ({
    what: words,
    db: "",
    signal,
    timeoutMs: Math.min(timeoutMs, TIMEOUT_MS),
    patient: false,
  });
  const failed = (label: string, thrown: unknown): void => {
    const error = toTidemarkError(thrown);
    if (error.code === "aborted") throw error;
    lines.push({ what: label, ok: "fail", detail: detailOf(error), code: error.code });
  };

  let version: string;
  try {
    version = (await client.call(METHOD.getVersion, {}, request("ask for the version"))).version;
  } catch (error) {
    failed(what, error);
    return lines;
  }
  lines.push({ what, ok: "ok", detail: `reached, version ${version}` });
  lines.push(versionLine(`${what} version`, version));

  try {
    const listed = await unless(["unsupported"], client.call(METHOD.listDatabases, {}, request("list the databases")));
    const count = listed === undefined
      ? "no databases (older than 2.2.9)"
      : `${listed.dbNames.length} ${plural(listed.dbNames.length, "database")}`;
    lines.push({ what: `${what} login`, ok: "ok", detail: user === undefined ? count : `as ${user}, ${count}` });
  } catch (thrown) {
    const error = toTidemarkError(thrown);
    if (error.code !== "authentication" || !isMissingRight(error.message)) {
      failed(`${what} login`, error);
      return lines;
    }
    lines.push({ what: `${what} login`, ok: "ok", detail: user === undefined ? "logged in" : `as ${user}` });
    failed(`${what} rights`, error);
  }

  try {
    const health = await unless(["unsupported"], client.call(METHOD.checkHealth, {}, request("ask for its health")));
    if (health !== undefined) lines.push(...healthLines(what, health.isHealthy, health.reasons, health.quotaStates));
  } catch (error) {
    failed(`${what} health`, error);
  }
  if (user !== undefined) {
    const line = await rightsLine(client, user, `${what} rights`, request("look up the user's roles"));
    if (line !== undefined) lines.push(line);
    const { timeoutMs: most } = request("");
    const refused = await databasesRefused(client, { signal, ...most === undefined ? {} : { timeoutMs: most } });
    if (refused !== undefined) {
      lines.push({
        what: `${what} databases`,
        ok: "warn",
        detail:
          `${user} may not create databases: those that the copy needs must be there before it begins (${refused})`,
      });
    }
  }
  return lines;
}

/** Whether the storage that the target is said to read looks like one. A target that never flushed a row has nothing there. */
export async function checkStorage({ store, scratch }: BulkImport, signal: AbortSignal): Promise<CheckLine> {
  const what = `storage of the target ${store.location}`;
  const root = scratch.slice(0, scratch.lastIndexOf("/", scratch.length - 2) + 1);
  try {
    const folders = await store.folders(root, signal);
    if (folders.some((name) => name === "insert_log" || name === "stats_log")) {
      return { what, ok: "ok", detail: `holds ${folders.join(", ")}` };
    }
    const place = root === "" ? "there" : `below ${root}`;
    return {
      what,
      ok: "warn",
      detail:
        `no binlogs ${place}, which is right only for a target that never flushed a row: an import would find nothing`,
    };
  } catch (thrown) {
    const error = toTidemarkError(thrown);
    return { what, ok: "fail", detail: detailOf(error), code: error.code };
  }
}

function detailOf(error: TidemarkError): string {
  return error.hint === undefined ? error.message : `${error.message}. ${error.hint}`;
}

function versionLine(what: string, version: string): CheckLine {
  const features = featuresOf(version);
  if (features.lite) {
    return {
      what,
      ok: "warn",
      detail: "milvus-lite: no users, no partition loads, some types missing. For tests only",
    };
  }
  const match = /(\d+)\.(\d+)/.exec(version);
  if (match !== null && Number(match[1]) * 100 + Number(match[2]) < OLDEST) {
    return { what, ok: "fail", detail: `${version} is too old: 2.2 or later is needed`, code: "unsupported" };
  }
  const lacks = [
    features.nullable ? undefined : "null values",
    features.functions ? undefined : "functions",
    features.knowsType(104) ? undefined : "float16, bfloat16 and sparse vectors",
    features.addsFields ? undefined : "adding fields",
  ].filter((one) => one !== undefined);
  const detail = lacks.length === 0 ? version : `${version} (does not know ${lacks.join(", ")})`;
  return { what, ok: "ok", detail };
}

function healthLines(
  what: string,
  healthy: boolean,
  reasons: readonly string[],
  quotas: readonly QuotaState[],
): CheckLine[] {
  const lines: CheckLine[] = [];
  const why = reasons.join("; ");
  if (healthy) lines.push({ what: `${what} health`, ok: "ok", detail: "healthy" });
  else {lines.push({
      what: `${what} health`,
      ok: "warn",
      detail: `The server calls itself unhealthy: ${why || "no reason"}`,
    });}
  if (quotas.includes(QuotaState.DenyToWrite)) {
    lines.push({
      what: `${what} quota`,
      ok: "fail",
      detail: `The target denies writes: ${
        why || "a quota is exhausted"
      }. Free memory or disk there, or raise quotaAndLimits`,
      code: "throttled",
    });
  } else if (quotas.includes(QuotaState.DenyToDDL)) {
    lines.push({
      what: `${what} quota`,
      ok: "warn",
      detail: `The target denies DDL: ${why || "a quota is exhausted"}`,
    });
  } else if (quotas.includes(QuotaState.WriteLimited)) {
    lines.push({ what: `${what} quota`, ok: "warn", detail: `The target limits writes: ${why || "no reason given"}` });
  }
  return lines;
}

/** Undefined where the target does not tell a user its roles. */
async function rightsLine(
  client: MilvusClient,
  user: string,
  what: string,
  request: Request,
): Promise<CheckLine | undefined> {
  if (user === "root") return { what, ok: "ok", detail: "root may do everything" };
  const found = await unless(
    ["unsupported", "refused", "authentication", "not_found", "unreachable", "throttled"],
    client.call(METHOD.selectUser, { user: { name: user }, includeRoleInfo: true }, request),
  );
  const roles = found?.results[0]?.roles.map((role) => role.name) ?? [];
  if (roles.includes("admin")) return { what, ok: "ok", detail: `${user} has the role admin` };
  if (roles.length === 0) {
    return {
      what,
      ok: "warn",
      detail: `${user} has no role that could be read; writing and DDL need rights on the target`,
    };
  }
  return {
    what,
    ok: "warn",
    detail: `${user} has the roles ${roles.join(", ")}; they must allow writing, DDL, index and load on the target`,
  };
}
