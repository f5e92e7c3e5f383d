/**
 * /metrics. One law for all names: `tidemark_`, what is measured, its unit in full; what only rises ends in `_total`. Labels
 * are names that a configuration or the queue's channels bound; never a collection, a key or a message.
 */
import { Counter, Gauge, Registry } from "prom-client";
import { lossMs, type RunStatus } from "../../pipeline/model/mod.ts";
import { VERSION } from "../version.ts";
import { currentLagMs } from "./lag.ts";
import { TASK_STATES } from "./runner.ts";
import type { Watched } from "./watched.ts";
import { NOTIFICATION_RESULTS, type NotificationResult } from "./webhooks.ts";

export interface MetricSpec {
  readonly name: string;
  readonly type: "gauge" | "counter";
  readonly labels: readonly string[];
  /** A sentence without its full stop. */
  readonly help: string;
}

const gauge = (name: string, labels: string, help: string): MetricSpec => spec("gauge", name, labels, help);
const counter = (name: string, labels: string, help: string): MetricSpec => spec("counter", name, labels, help);

function spec(type: MetricSpec["type"], name: string, labels: string, help: string): MetricSpec {
  return { name: `tidemark_${name}`, type, labels: labels === "" ? [] : labels.split(" "), help };
}

/** Every metric there is; the table in docs/server.md is made of it. */
export const METRICS = {
  build: gauge("build_info", "version", "Always 1; the version is the label"),
  tasks: gauge("tasks", "state", "Tasks in each state"),
  up: gauge(
    "task_up",
    "pipeline",
    "1 where its process runs, 0 where it does not although it is wanted; paused ones are left out",
  ),
  restarts: counter("task_restarts_total", "pipeline", "Ends of its process that were not wanted"),
  lag: gauge(
    "lag_seconds",
    "pipeline",
    "Since the last moment of which everything is on every sink, of the slowest channel; grows while nothing moves",
  ),
  channelLag: gauge("channel_lag_seconds", "pipeline channel", "The same of one channel"),
  loss: gauge(
    "channel_until_loss_seconds",
    "pipeline channel",
    "Until the log's retention, as the queue says it, reaches what a restart would read first; left out where it is not known",
  ),
  retention: gauge(
    "channel_retention_seconds",
    "pipeline channel",
    "How long the queue keeps what is written; left out where that is not known, or for ever",
  ),
  behind: gauge(
    "channel_behind_records",
    "pipeline channel",
    "Records between the run and the end of the log, as the queue counts them",
  ),
  behindBytes: gauge(
    "channel_lag_bytes",
    "pipeline channel",
    "Bytes between the run and the end of the log, estimated from what the queue says of its sizes; left out where it says nothing",
  ),
  copied: gauge("base_copied_rows", "pipeline", "Rows of the base that are on the sinks"),
  expected: gauge("base_expected_rows", "pipeline", "Rows that the base has"),
  inserted: counter("inserted_rows_total", "pipeline", "Rows written by the tail since its process began"),
  deleted: counter("deleted_rows_total", "pipeline", "Keys deleted by the tail since its process began"),
  rows: gauge("written_rows_per_second", "pipeline", "Rows written, over the last five seconds"),
  collections: gauge("collections", "pipeline phase", "Collections in each phase"),
  held: gauge("held_rows", "pipeline", "Rows that a target refused and that are held"),
  heldSinks: gauge(
    "held_sinks",
    "pipeline",
    "Backups to which nothing is written until what is wrong with their storage is mended",
  ),
  waits: gauge("waits", "pipeline", "Things that are waited for"),
  inFlight: gauge("in_flight_bytes", "pipeline", "Bytes read and not yet acknowledged by every sink"),
  inFlightLimit: gauge("in_flight_limit_bytes", "pipeline", "limits.in_flight"),
  checkpointAge: gauge("checkpoint_age_seconds", "pipeline", "Since the last checkpoint"),
  statusAge: gauge("status_age_seconds", "pipeline", "Since its process said how it is"),
  backupAge: gauge("backup_base_age_seconds", "pipeline sink", "Since the last base of a backup that was completed"),
  backupFailures: gauge(
    "backup_base_failures",
    "pipeline sink",
    "Bases that failed since the last one that was completed",
  ),
  notifications: counter(
    "notifications_total",
    "result",
    "Attempts to tell a webhook: sent, failed (is tried again), dropped (given up)",
  ),
  requests: counter("http_requests_total", "method status", "Requests that were answered"),
} as const satisfies Record<string, MetricSpec>;

const PHASES = ["pending", "base", "tail", "blocked", "dropped"] as const;

export interface MetricsOptions {
  readonly tasks: readonly Watched[];
  /** Answered requests by `GET 200`. */
  readonly requests: ReadonlyMap<string, number>;
  readonly notifications: ReadonlyMap<NotificationResult, number>;
  /** Unix ms. */
  readonly now: number;
}

/** The text that Prometheus reads. */
export async function metricsText({ tasks, requests, notifications, now }: MetricsOptions): Promise<string> {
  const registry = new Registry();
  const made = new Map<MetricSpec, Gauge | Counter>();
  const set = (metric: MetricSpec, value: number, ...labels: readonly string[]) => {
    if (!Number.isFinite(value)) return;
    let own = made.get(metric);
    if (own === undefined) {
      const options = { name: metric.name, help: metric.help, labelNames: [...metric.labels], registers: [registry] };
      made.set(metric, own = metric.type === "gauge" ? new Gauge(options) : new Counter(options));
    }
    const named = Object.fromEntries(metric.labels.map((label, at) => [label, labels[at]!]));
    if (own instanceof Gauge) own.set(named, value);
    else own.inc(named, value);
  };
  set(METRICS.build, 1, VERSION);
  for (const state of TASK_STATES) {
    set(
      METRICS.tasks,
      tasks.filter(({ runner }) => runner.state === state).length,
      state,
    );
  }
  for (const [key, count] of requests) set(METRICS.requests, count, ...key.split(" "));
  for (const result of NOTIFICATION_RESULTS) set(METRICS.notifications, notifications.get(result) ?? 0, result);
  for (const task of tasks) taskMetrics(task, now, set);
  return await registry.metrics();
}

function taskMetrics(
  { record, runner }: Watched,
  now: number,
  set: (metric: MetricSpec, value: number, ...labels: string[]) => void,
) {
  const { name } = record;
  const { status } = runner;
  if (record.wanted === "running" && runner.state !== "done") set(METRICS.up, runner.pid === undefined ? 0 : 1, name);
  set(METRICS.restarts, runner.restarts, name);
  if (status === undefined) return;
  const age = (iso: string) => iso === "" ? Number.NaN : Math.max(0, now - Date.parse(iso)) / 1000;
  const float = (value: bigint) => parseFloat(value.toString());
  const sum = (pick: (one: RunStatus["collections"][number]) => bigint) =>
    float(status.collections.reduce((all, one) => all + pick(one), 0n));
  const lag = currentLagMs(status, now);
  set(METRICS.lag, lag / 1000, name);
  for (const channel of status.channels) {
    const { pchannel, lagMs, retention, behind } = channel;
    set(METRICS.channelLag, (lagMs + lag - status.lagMs) / 1000, name, pchannel);
    set(METRICS.loss, (lossMs(channel, lag - status.lagMs) ?? Number.NaN) / 1000, name, pchannel);
    if (retention?.ms !== undefined) set(METRICS.retention, retention.ms / 1000, name, pchannel);
    if (behind?.records !== undefined) set(METRICS.behind, behind.records, name, pchannel);
    if (behind?.bytes !== undefined) set(METRICS.behindBytes, behind.bytes, name, pchannel);
  }
  set(METRICS.copied, sum((one) => one.rowsDone), name);
  set(METRICS.expected, sum((one) => one.rowsTotal), name);
  set(METRICS.inserted, sum((one) => one.inserted), name);
  set(METRICS.deleted, sum((one) => one.deleted), name);
  set(METRICS.rows, status.rates.rowsPerSec, name);
  for (const phase of PHASES) {
    set(METRICS.collections, status.collections.filter((one) => one.phase === phase).length, name, phase);
  }
  set(METRICS.held, status.collections.reduce((all, one) => all + (one.refusedRows?.held ?? 0), 0), name);
  set(METRICS.heldSinks, status.sinks.filter(({ state }) => state === "held").length, name);
  set(METRICS.waits, status.waits.length, name);
  set(METRICS.inFlight, status.inFlightBytes, name);
  set(METRICS.inFlightLimit, status.inFlightLimitBytes, name);
  set(METRICS.checkpointAge, age(status.checkpointAt), name);
  set(METRICS.statusAge, age(status.at), name);
  for (const { sink, goodAt, failures } of status.bases) {
    set(METRICS.backupAge, age(goodAt), name, sink);
    set(METRICS.backupFailures, failures, name, sink);
  }
}

/** The table of docs/server.md, as the formatter leaves it. */
export function metricsTable(): string {
  const rows = Object.values(METRICS).map(({ name, type, labels, help }) => [
    `\`${name}\``,
    type,
    labels.map((label) => `\`${label}\``).join(", "),
    help,
  ]);
  const head = ["metric", "type", "labels", "says"];
  const widths = head.map((word, at) => Math.max(word.length, ...rows.map((row) => row[at]!.length)));
  const line = (cells: readonly string[]) => `| ${cells.map((cell, at) => cell.padEnd(widths[at]!)).join(" | ")} |`;
  return [line(head), `| ${widths.map((width) => "-".repeat(width)).join(" | ")} |`, ...rows.map(line)].join("\n");
}
