/**
 * Which backups go. A backup with its log is one chain: a base with everything that follows it, restorable alone, so chains
 * are kept or removed whole. Bases that share files do so by hard links, which removing one does not touch.
 */
import { TidemarkError } from "../../pipeline/errors.ts";
import type { ObjectStore } from "../../pipeline/model/mod.ts";
import { backupFolder, manifestKey, metaKey, removalKey } from "../../stores/mod.ts";
import type { BackupSummary } from "./list.ts";

export interface RetentionRules {
  readonly last?: number | undefined;
  /** Milliseconds. */
  readonly within?: number | undefined;
  readonly daily?: number | undefined;
  readonly weekly?: number | undefined;
  readonly monthly?: number | undefined;
  /** Default UTC. */
  readonly time_zone?: string | undefined;
}

export interface PrunePlanOptions {
  readonly nowMs: number;
  /** Half-written backups that nobody has written to for so long go too; undefined: none does. */
  readonly halfWrittenOlderThanMs?: number | undefined;
  /** Only backups of this pipeline are looked at; undefined: all. */
  readonly pipeline?: string | undefined;
}

export interface PruneDecision {
  readonly name: string;
  readonly action: "keep" | "remove";
  /** Why, for people: each rule that keeps it, or why none does. */
  readonly reasons: readonly string[];
  readonly bytes: bigint;
}

/** Decides; removes nothing. In the order of `backups`. Throws `usage` for an unknown time zone. */
export function planPrune(
  backups: readonly BackupSummary[],
  rules: RetentionRules,
  options: PrunePlanOptions,
): PruneDecision[] {
  const own = backups.filter(({ pipeline }) => options.pipeline === undefined || pipeline === options.pipeline);
  const good = own.filter(({ state }) => state === "complete").sort(newestFirst);
  const reasons = new Map<string, string[]>();
  const keep = (name: string, reason: string) => reasons.set(name, [...reasons.get(name) ?? [], reason]);

  const hasRule = [rules.last, rules.within, rules.daily, rules.weekly, rules.monthly].some((rule) =>
    rule !== undefined
  );
  if (!hasRule) { for (const { name } of good) keep(name, "no rule is set, so every backup is kept"); }
  for (const { name } of good.slice(0, rules.last ?? 0)) keep(name, `among the last ${rules.last}`);
  const { within } = rules;
  if (within !== undefined) {
    for (const { name, takenMs } of good) if (options.nowMs - takenMs <= within) keep(name, "younger than the limit");
  }
  const zone = rules.time_zone ?? "UTC";
  const calendar = [["day", rules.daily, dayOf], ["week", rules.weekly, weekOf], [
    "month",
    rules.monthly,
    monthOf,
  ]] as const;
  for (const [unit, count, periodOf] of calendar) {
    const periods = new Map<string, string>();
    for (const { name, takenMs } of good) {
      const period = periodOf(takenMs, zone);
      if (!periods.has(period) && periods.size < (count ?? 0)) periods.set(period, name);
    }
    for (const [period, name] of periods) keep(name, `newest of the ${unit} ${period}`);
  }
  // Also what a run that still follows is writing to: its newest.
  for (const group of Map.groupBy(good, ({ pipeline }) => pipeline).values()) {
    const newest = group.find(({ failed }) => failed === 0) ?? group[0];
    if (newest !== undefined && !reasons.has(newest.name)) keep(newest.name, "the last good backup is never removed");
  }

  return backups.map(({ name, state, takenMs, bytes, pipeline }): PruneDecision => {
    const decide = (action: PruneDecision["action"], ...why: string[]) => ({ name, action, reasons: why, bytes });
    if (options.pipeline !== undefined && pipeline !== options.pipeline && state === "complete") {
      return decide("keep", pipeline === "" ? "was not made by Tidemark" : `belongs to pipeline ${pipeline}`);
    }
    switch (state) {
      case "complete": {
        const why = reasons.get(name);
        return why === undefined ? decide("remove", "no rule keeps it") : decide("keep", ...why);
      }
      case "half-written": {
        const limit = options.halfWrittenOlderThanMs;
        if (limit === undefined) return decide("keep", "half-written: its run may still go on");
        const idle = options.nowMs - takenMs;
        return idle >= limit
          ? decide("remove", "half-written, and nothing was written to it for long enough")
          : decide("keep", "half-written, but written to lately: its run may still go on");
      }
      case "half-removed":
        return decide("remove", "a removal that was cut short is finished");
      case "unreadable":
        return decide("keep", "unreadable: look at it before removing it by hand");
    }
  });
}

/** Keys of one request of an S3 server. */
const KEYS_AT_ONCE = 1000;

/**
 * Removes what the plan says. First comes a mark, then what makes it a backup, then the files, the mark last: when it is cut
 * short, it is half-removed to everyone, never damaged, and the next prune finishes it. Returns the names removed.
 */
export async function applyPrune(
  store: ObjectStore,
  plan: readonly PruneDecision[],
  signal?: AbortSignal,
  passed: (phase: "prune_begun" | "prune_removing") => void = () => {},
): Promise<string[]> {
  const removed: string[] = [];
  for (const { name, action } of plan) {
    if (action !== "remove") continue;
    const mark = removalKey(name);
    await store.put(mark, new TextEncoder().encode("{}\n"), {}, signal);
    // Without a manifest no new base takes its files for there.
    await store.delete([metaKey(name, "backup_meta"), manifestKey(name)], signal);
    passed("prune_begun");
    let keys: string[] = [];
    const flush = async () => {
      if (keys.length === 0) return;
      await store.delete(keys, signal);
      keys = [];
      passed("prune_removing");
    };
    for await (const { key } of store.list(backupFolder(name), signal)) {
      if (key === mark) continue;
      if (keys.length === KEYS_AT_ONCE || (keys.length > 0 && partOf(keys[0]!) !== partOf(key))) await flush();
      keys.push(key);
    }
    await flush();
    await store.delete([mark], signal);
    removed.push(name);
  }
  return removed;
}

/** `binlogs`, `log`, `meta`, … of a key `<name>/<part>/…`. */
function partOf(key: string): string | undefined {
  return key.split("/")[1];
}

function newestFirst(a: BackupSummary, b: BackupSummary): number {
  return b.takenMs - a.takenMs || (a.name < b.name ? 1 : -1);
}

/** `2026-11-21` in the zone. */
function dayOf(ms: number, zone: string): string {
  try {
    return new Intl.DateTimeFormat("en-CA", { timeZone: zone, year: "numeric", month: "2-digit", day: "2-digit" })
      .format(ms);
  } catch (cause) {
    throw new TidemarkError("usage", `"${zone}" is no time zone`, {
      hint: "Use a name such as UTC or Europe/Berlin.",
      cause,
    });
  }
}

function monthOf(ms: number, zone: string): string {
  return dayOf(ms, zone).slice(0, 7);
}

/** ISO week, `2026-W47`. */
function weekOf(ms: number, zone: string): string {
  const day = new Date(`${dayOf(ms, zone)}T00:00:00Z`);
  // The week belongs to the year of its Thursday.
  day.setUTCDate(day.getUTCDate() + 4 - (day.getUTCDay() || 7));
  const year = day.getUTCFullYear();
  const week = Math.ceil(((day.getTime() - Date.UTC(year, 0, 1)) / 86_400_000 + 1) / 7);
  return `${year}-W${String(week).padStart(2, "0")}`;
}
