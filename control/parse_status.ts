/** A status as it stands in a state document, back to what it was. */
import type { Json } from "../pipeline/json.ts";
import type {
  AgreedStatus,
  BasesStatus,
  BehindStatus,
  ChannelStatus,
  CollectionStatus,
  ImportStatus,
  LogRetention,
  RefusedRowsStatus,
  RunPhase,
  RunStatus,
  SinkStatus,
  WaitStatus,
} from "../pipeline/model/mod.ts";

type Fields = { [key: string]: Json };

/** Undefined if there is none. What is missing, for example because another version wrote it, is empty. */
export function parseStatus(json: Json): RunStatus | undefined {
  if (json === null || typeof json !== "object" || Array.isArray(json)) return undefined;
  const rates = record(json.rates);
  return {
    pipeline: text(json.pipeline),
    phase: (text(json.phase) || "starting") as RunPhase,
    collections: list(json.collections).map((item): CollectionStatus => ({
      db: text(item.db),
      name: text(item.name),
      target: text(item.target),
      phase: (text(item.phase) || "pending") as CollectionStatus["phase"],
      segmentsDone: float(item.segmentsDone),
      segmentsTotal: float(item.segmentsTotal),
      rowsDone: integer(item.rowsDone),
      rowsTotal: integer(item.rowsTotal),
      inserted: integer(item.inserted),
      deleted: integer(item.deleted),
      blockedReason: optional(item.blockedReason),
      refusedRows: refusedRows(item.refusedRows),
      agreed: agreed(item.agreed),
      imports: imports(item.imports),
    })),
    channels: list(json.channels).map((item): ChannelStatus => ({
      pchannel: text(item.pchannel),
      position: text(item.position),
      tick: integer(item.tick),
      lagMs: float(item.lagMs),
      recordsPerSec: float(item.recordsPerSec),
      ...(item.neededMs === undefined ? {} : { neededMs: float(item.neededMs) }),
      ...(item.idleMs === undefined ? {} : { idleMs: float(item.idleMs) }),
      ...(item.retention === undefined ? {} : { retention: retention(item.retention) }),
      ...(item.behind === undefined ? {} : { behind: behind(item.behind) }),
    })),
    sinks: list(json.sinks).map((item): SinkStatus => ({
      name: text(item.name),
      state: (text(item.state) || "ok") as SinkStatus["state"],
      reason: text(item.reason),
    })),
    bases: list(json.bases).map((item): BasesStatus => ({
      sink: text(item.sink),
      triedAt: text(item.triedAt),
      goodAt: text(item.goodAt),
      failures: float(item.failures),
      error: text(item.error),
    })),
    waits: list(json.waits).map((item): WaitStatus => ({
      component: text(item.component),
      collection: text(item.collection),
      reason: text(item.reason),
      since: text(item.since),
      next: text(item.next),
    })),
    lagMs: float(json.lagMs),
    rates: { rowsPerSec: float(rates.rowsPerSec), bytesPerSec: float(rates.bytesPerSec) },
    inFlightBytes: float(json.inFlightBytes),
    inFlightLimitBytes: float(json.inFlightLimitBytes),
    startedAt: text(json.startedAt),
    checkpointAt: text(json.checkpointAt),
    at: text(json.at),
    lastError: optional(json.lastError),
    warnings: Array.isArray(json.warnings) ? json.warnings.map(text) : [],
  };
}

function record(json: Json | undefined): Fields {
  return json !== null && typeof json === "object" && !Array.isArray(json) ? json : {};
}

function imports(json: Json | undefined): ImportStatus | undefined {
  const { done, total, percent } = record(json);
  return total === undefined ? undefined : { done: float(done), total: float(total), percent: float(percent) };
}

function retention(json: Json | undefined): LogRetention | undefined {
  const { ms, why } = record(json);
  return why === undefined ? undefined : { ms: ms === undefined ? undefined : float(ms), why: text(why) };
}

function behind(json: Json | undefined): BehindStatus | undefined {
  const { end, records, bytes, at } = record(json);
  const known = (count: Json | undefined) => count === undefined ? undefined : float(count);
  return end === undefined ? undefined : { end: text(end), records: known(records), bytes: known(bytes), at: text(at) };
}

function refusedRows(json: Json | undefined): RefusedRowsStatus | undefined {
  const { held, deadLetters, keys, reason } = record(json);
  if (held === undefined) return undefined;
  const names = Array.isArray(keys) ? keys.map(text) : [];
  return { held: float(held), deadLetters: float(deadLetters), keys: names, reason: text(reason) };
}

function agreed(json: Json | undefined): AgreedStatus[] {
  return list(json).map((item) => ({
    field: text(item.field),
    change: text(item.change) as AgreedStatus["change"],
    why: text(item.why),
    value: text(item.value),
    values: integer(item.values),
  }));
}

function list(json: Json | undefined): Fields[] {
  return Array.isArray(json) ? json.map(record) : [];
}

function text(json: Json | undefined): string {
  return typeof json === "string" ? json : "";
}

function optional(json: Json | undefined): string | undefined {
  return typeof json === "string" && json !== "" ? json : undefined;
}

/** Counts, milliseconds, rates: far below 2^53. */
function float(json: Json | undefined): number {
  return typeof json === "number" ? json : typeof json === "bigint" ? parseFloat(json.toString()) : 0;
}

function integer(json: Json | undefined): bigint {
  return typeof json === "bigint" ? json : typeof json === "number" ? BigInt(Math.trunc(json)) : 0n;
}
