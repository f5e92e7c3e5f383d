/** A pipeline that is shown: a task of a server, or the one run beside which a server stands. */
import type { CheckedText } from "../../config/mod.ts";
import type { TaskRecord } from "./book.ts";
import { Fault } from "./fault.ts";
import type { Job } from "./jobs.ts";
import type { TaskRunner } from "./runner.ts";
import { formatJson, type Json } from "../../pipeline/json.ts";
import { statusView } from "./view.ts";

export interface Watched {
  readonly record: Pick<TaskRecord, "name" | "version" | "wanted" | "createdAt" | "updatedAt">;
  readonly runner: Pick<
    TaskRunner,
    "state" | "reason" | "pid" | "status" | "restarts" | "lastEnd" | "nextStartAt" | "logs" | "ddl" | "history"
  >;
  readonly checked: Pick<CheckedText, "masked" | "redact">;
}

/** What is watched now. `get` throws 404. */
export interface WatchedList {
  list(): readonly Watched[];
  get(name: string): Watched;
}

export function watchedList(all: () => readonly Watched[]): WatchedList {
  return {
    list: all,
    get: (name) => {
      const found = all().find(({ record }) => record.name === name);
      if (found === undefined) throw new Fault(404, "not_found", `There is no task ${name}`);
      return found;
    },
  };
}

function headOf({ record, runner, checked: { redact } }: Watched) {
  const { lastEnd } = runner;
  return {
    name: record.name,
    version: record.version,
    wanted: record.wanted,
    state: runner.state,
    reason: redact(runner.reason),
    restarts: runner.restarts,
    last_end: lastEnd === undefined ? null : {
      at: lastEnd.at,
      code: lastEnd.code,
      reason: redact(lastEnd.reason),
      hint: lastEnd.hint ?? null,
    },
    next_start_at: runner.nextStartAt ?? null,
    created_at: record.createdAt,
    updated_at: record.updatedAt,
  };
}

export function taskView(task: Watched, now: number) {
  const { status, pid } = task.runner;
  return {
    ...headOf(task),
    config: (task.checked.masked ?? {}) as Record<string, unknown>,
    pid: pid ?? null,
    status: status === undefined ? null : statusView(status, now, task.checked.redact),
  };
}

export function summaryView(task: Watched, now: number) {
  const { status } = task.runner;
  const view = status === undefined ? undefined : statusView(status, now);
  return {
    ...headOf(task),
    phase: view?.phase ?? null,
    lag_ms: view?.lag_ms ?? null,
    records_behind: view?.records_behind ?? null,
    bytes_behind: view?.bytes_behind ?? null,
    rows_per_sec: view?.rows_per_sec ?? null,
    rows_done: view?.rows_done ?? null,
    rows_total: view?.rows_total ?? null,
    collections: status?.collections.length ?? 0,
    blocked: status?.collections.filter(({ phase }) => phase === "blocked").length ?? 0,
  };
}

export function jobView(job: Job) {
  return {
    id: job.id,
    task: job.task,
    kind: job.kind,
    state: job.state,
    progress: job.progress,
    created_at: job.createdAt,
    ended_at: job.endedAt ?? null,
    exit: job.exit ?? null,
    result: job.result === undefined ? null : plainJson(job.result),
    error: job.error === undefined ? null : { ...job.error, hint: job.error.hint ?? null },
  };
}

/** 64-bit numbers as text: JavaScript would round them. `redact`: takes secrets out of every text. */
export function plainJson(json: Json, redact: (text: string) => string = (text) => text): unknown {
  const plain = (_key: string, value: unknown) =>
    typeof value === "bigint" ? value.toString() : typeof value === "string" ? redact(value) : value;
  return JSON.parse(JSON.stringify(json, plain) ?? formatJson(null));
}
