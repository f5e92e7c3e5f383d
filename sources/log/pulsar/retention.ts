/** What keeps the log: the namespace's retention, which only the web service tells. Nothing else of it is used. */
import type { CheckLine, LogRetention } from "../../../pipeline/model/mod.ts";
import { askAdmin } from "./admin.ts";
import type { PulsarServer } from "./login.ts";
import type { PulsarLogConfig } from "./spec.ts";

/** Of `retention_policies`; minus one: without a limit. */
interface Retention {
  readonly retentionTimeInMinutes: number;
  readonly retentionSizeInMB: number;
}

const WHAT = "pulsar retention";

/** One line; never a failure: a run can go on without knowing it. */
export async function retentionLine(
  config: PulsarLogConfig,
  server: PulsarServer,
  signal: AbortSignal,
): Promise<CheckLine> {
  const { admin, tenant, namespace } = config;
  const needed =
    "A copy needs a retention longer than its base takes and longer than any pause of a run, without a limit of " +
    `size: pulsar-admin namespaces set-retention ${tenant}/${namespace} --time 7d --size -1`;
  if (admin === undefined) {
    return { what: WHAT, ok: "warn", detail: `not known: sources.log.admin names no web service to ask. ${needed}` };
  }
  let retention: Retention | undefined;
  try {
    retention = await ask(config, admin, server, signal);
  } catch (thrown) {
    signal.throwIfAborted();
    return { what: WHAT, ok: "warn", detail: `not known: ${admin} answers ${(thrown as Error).message}. ${needed}` };
  }
  return judge(retention, `${tenant}/${namespace}`, needed);
}

/** `retention` undefined: the namespace has none of its own. */
export function judge(retention: Retention | undefined, namespace: string, needed: string): CheckLine {
  if (retention === undefined) {
    const detail =
      `${namespace} has none of its own: the brokers' default counts, which is none at all unless it was set. ${needed}`;
    return { what: WHAT, ok: "warn", detail };
  }
  const { retentionTimeInMinutes: minutes, retentionSizeInMB: megabytes } = retention;
  const time = minutes < 0 ? "for ever" : `${minutes} minutes`;
  const size = megabytes < 0 ? "without a limit of size" : `${megabytes} MB of each topic`;
  if (minutes === 0 || megabytes === 0) {
    return { what: WHAT, ok: "warn", detail: `${namespace} keeps nothing that Milvus has read. ${needed}` };
  }
  const kept = `${namespace} keeps its topics ${time}, ${size}`;
  return megabytes < 0
    ? { what: WHAT, ok: "ok", detail: `${kept}. No pause of a run may be longer` }
    : { what: WHAT, ok: "warn", detail: `${kept}: whichever is passed first. ${needed}` };
}

/** Of every topic of the namespace. Throws where the web service does not answer. */
export async function namespaceRetention(
  config: PulsarLogConfig,
  server: PulsarServer,
  signal: AbortSignal,
): Promise<LogRetention> {
  const { admin, tenant, namespace } = config;
  if (admin === undefined) {
    return { ms: undefined, why: "Not known: sources.log.admin names no web service to ask" };
  }
  return keptFor(await ask(config, admin, server, signal), `${tenant}/${namespace}`);
}

export function keptFor(retention: Retention | undefined, namespace: string): LogRetention {
  if (retention === undefined) {
    return { ms: undefined, why: `Not known: ${namespace} has no retention of its own, the brokers' default counts` };
  }
  const { retentionTimeInMinutes: minutes, retentionSizeInMB: megabytes } = retention;
  if (minutes === 0 || megabytes === 0) {
    return { ms: 0, why: `${namespace} keeps nothing that Milvus has read` };
  }
  const size = megabytes < 0
    ? ""
    : `${namespace} keeps ${megabytes} MB of each topic: what is older than that goes earlier`;
  if (minutes < 0) return { ms: undefined, why: size === "" ? `Kept for ever by the retention of ${namespace}` : size };
  return { ms: minutes * 60_000, why: size };
}

async function ask(
  config: PulsarLogConfig,
  admin: string,
  server: PulsarServer,
  signal: AbortSignal,
): Promise<Retention | undefined> {
  const { tenant, namespace } = config;
  const text = await askAdmin(admin, server, `namespaces/${tenant}/${namespace}`, signal);
  return (JSON.parse(text) as { retention_policies?: Retention }).retention_policies;
}
