/** What the API shows of a status: names with units, numbers that JavaScript holds, hybrid timestamps as text. */
import type { CollectionStatus, RunStatus } from "../../pipeline/model/mod.ts";
import { isoOfHybrid, lossMs } from "../../pipeline/model/mod.ts";
import { currentLagMs } from "./lag.ts";
import { etaMs } from "../render_status.ts";

/** Counts of rows: far below 2^53, and one that is not is shown as the largest. */
function count(value: bigint): number {
  return value > BigInt(Number.MAX_SAFE_INTEGER) ? Number.MAX_SAFE_INTEGER : parseInt(value.toString(), 10);
}

const ORDER: Readonly<Record<CollectionStatus["phase"], number>> = {
  blocked: 0,
  base: 1,
  pending: 2,
  tail: 3,
  dropped: 4,
};

/**
 * `source` lets the same collection on two sinks follow each other; the ones that need attention come first. `redact`: takes
 * secrets out of what a process, or a server that it asked, says in words of its own.
 */
export function statusView(status: RunStatus, now: number, redact: (text: string) => string = (text) => text) {
  const clean = (text: string | undefined) => text === undefined ? null : redact(text);
  const sum = (pick: (one: CollectionStatus) => bigint) => status.collections.reduce((all, one) => all + pick(one), 0n);
  return {
    phase: status.phase,
    rows_done: count(sum((one) => one.rowsDone)),
    rows_total: count(sum((one) => one.rowsTotal)),
    inserted: count(sum((one) => one.inserted)),
    deleted: count(sum((one) => one.deleted)),
    eta_ms: etaMs(status) ?? null,
    lag_ms: currentLagMs(status, now),
    records_behind: allBehind(status, "records"),
    bytes_behind: allBehind(status, "bytes"),
    rows_per_sec: status.rates.rowsPerSec,
    bytes_per_sec: status.rates.bytesPerSec,
    in_flight_bytes: status.inFlightBytes,
    in_flight_limit_bytes: status.inFlightLimitBytes,
    started_at: status.startedAt,
    checkpoint_at: status.checkpointAt,
    at: status.at,
    last_error: clean(status.lastError),
    warnings: status.warnings.map(redact),
    collections: [...status.collections].sort((a, b) => ORDER[a.phase] - ORDER[b.phase]).map((one) => ({
      source: `${one.db}.${one.name}`,
      target: one.target,
      phase: one.phase,
      segments_done: one.segmentsDone,
      segments_total: one.segmentsTotal,
      rows_done: count(one.rowsDone),
      rows_total: count(one.rowsTotal),
      inserted: count(one.inserted),
      deleted: count(one.deleted),
      reason: clean(one.blockedReason ?? one.refusedRows?.reason),
      rows_held: one.refusedRows?.held ?? 0,
      dead_letters: one.refusedRows?.deadLetters ?? 0,
    })),
    channels: status.channels.map((one) => ({
      pchannel: one.pchannel,
      position: one.position,
      tick: one.tick.toString(),
      complete_to: one.tick === 0n ? null : isoOfHybrid(one.tick),
      lag_ms: one.lagMs,
      loss_ms: lossMs(one, currentLagMs(status, now) - status.lagMs) ?? null,
      loss_why: clean(one.retention?.why === "" ? undefined : one.retention?.why),
      records_per_sec: one.recordsPerSec,
      records_behind: one.behind?.records ?? null,
      bytes_behind: one.behind?.bytes ?? null,
      end: one.behind?.end ?? null,
      seen_at: one.behind?.at ?? null,
    })),
    waits: status.waits.map((one) => ({ ...one, reason: redact(one.reason) })),
    bases: status.bases.map((one) => ({
      sink: one.sink,
      tried_at: one.triedAt,
      good_at: one.goodAt,
      failures: one.failures,
      error: redact(one.error),
    })),
  };
}

/** Null where the queue does not say it of every channel: a part of a lag would be taken for all of it. */
function allBehind({ channels }: RunStatus, what: "records" | "bytes"): number | null {
  if (channels.length === 0) return null;
  return channels.reduce<number | null>((all, { behind }) => {
    const own = behind?.[what];
    return all === null || own === undefined ? null : all + own;
  }, 0);
}

export type StatusView = ReturnType<typeof statusView>;
