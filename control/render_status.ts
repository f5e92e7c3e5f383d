/** What a run is doing, as lines of text. Pure. */
import {
  type AgreedStatus,
  agreedText,
  type BasesStatus,
  type ChannelStatus,
  type CollectionStatus,
  hybridFromMs,
  type HybridTs,
  isoOfHybrid,
  lossMs,
  type RefusedRowsStatus,
  type RunStatus,
  type WaitStatus,
} from "../pipeline/model/mod.ts";
import { formatDuration, formatSize, plural } from "../pipeline/units/mod.ts";
import { clip, table } from "./table.ts";

/** Collections in the block; more are summed up in a line. */
const SHOWN = 12;
/** Reasons of blocked collections in the block. */
const REASONS = 4;
/** Waits in the block. */
const WAITS = 4;

/** The block of `status` and of the live display: at most `width` columns, no colours. */
export function renderStatus(status: RunStatus, width: number): string[] {
  const lines = [headline(status)];
  const shown = pick(status.collections);
  if (shown.length > 0) {
    lines.push(...table([
      ["collection", "state", "segments", "rows", "inserted", "deleted"],
      ...shown.map(collectionRow),
    ], { right: [2, 3, 4, 5], indent: 2 }));
    const rest = status.collections.length - shown.length;
    if (rest > 0) lines.push(`  and ${rest} more ${plural(rest, "collection")}`);
  }
  const blocked = status.collections.filter((item) => item.blockedReason !== undefined && item.blockedReason !== "");
  for (const { db, name, blockedReason } of blocked.slice(0, REASONS)) {
    lines.push(`  blocked  ${db}.${name}: ${oneLine(blockedReason!)}`);
  }
  if (blocked.length > REASONS) {
    lines.push(`  and ${blocked.length - REASONS} more blocked ${plural(blocked.length - REASONS, "collection")}`);
  }
  const partly = status.collections.filter(({ refusedRows }) => refusedRows !== undefined);
  for (const { db, name, refusedRows } of partly.slice(0, REASONS)) {
    lines.push(`  refused  ${refusedRowsText(`${db}.${name}`, refusedRows!)}`);
  }
  if (partly.length > REASONS) {
    lines.push(
      `  and ${partly.length - REASONS} more ${plural(partly.length - REASONS, "collection")} with refused rows`,
    );
  }
  const agreed = status.collections.flatMap(({ db, name, agreed }) =>
    agreed.filter(isWorthALine).map((one) => `  agreed   ${db}.${name}: ${oneLine(agreedText(one))}`)
  );
  lines.push(...agreed.slice(0, REASONS));
  if (agreed.length > REASONS) {
    lines.push(
      `  and ${agreed.length - REASONS} more ${plural(agreed.length - REASONS, "column")} that a target does not take`,
    );
  }
  for (const { name, state, reason } of status.sinks) {
    if (state === "held") lines.push(`  held     ${name}: ${oneLine(reason)}`);
  }
  const channels = [...status.channels].sort((a, b) => b.lagMs - a.lagMs).slice(0, 4);
  for (const channel of channels) {
    lines.push(
      `  channel  ${channel.pchannel} at ${channel.position}, ${lagOf(channel.lagMs)}, ${
        rate(channel.recordsPerSec)
      } records/s${behindOf(channel)}${lossOf(channel)}`,
    );
  }
  if (status.channels.length > channels.length) {
    const rest = status.channels.length - channels.length;
    lines.push(`  and ${rest} more ${plural(rest, "channel")} with less lag`);
  }
  for (const wait of status.waits.slice(0, WAITS)) lines.push(`  waiting  ${waitText(wait, status.at)}`);
  if (status.waits.length > WAITS) {
    lines.push(
      `  and ${status.waits.length - WAITS} more that ${
        plural(status.waits.length - WAITS, "waits", "wait")
      } (--json has all)`,
    );
  }
  for (const bases of status.bases) lines.push(baseLine(bases, status.at));
  for (const warning of status.warnings.slice(-3)) lines.push(`  warning  ${oneLine(warning)}`);
  if (status.lastError !== undefined) lines.push(`  error    ${oneLine(status.lastError)}`);
  return lines.map((line) => clip(line, width));
}

/** A default that stands for nulls is nothing to look at as long as there was no null. */
function isWorthALine({ change, values }: AgreedStatus): boolean {
  return change !== "defaulted" || values > 0n;
}

/** Where nobody can say it there is nothing to say. */
function lossOf(channel: ChannelStatus): string {
  const ms = lossMs(channel);
  return ms === undefined
    ? ""
    : ms === 0
    ? ", retention may remove it now"
    : `, in the log for ${formatDuration(ms)} more`;
}

function baseLine({ sink, triedAt, goodAt, failures, error }: BasesStatus, at: string): string {
  const ago = (time: string) =>
    time === "" ? "none" : `${formatDuration(Math.max(0, Date.parse(at) - Date.parse(time)))} ago`;
  if (failures === 0) return `  base     ${sink}: last good ${ago(goodAt)}`;
  return `  base     ${sink}: last failed ${ago(triedAt)}, ${failures} since the last good one (${ago(goodAt)}): ${
    oneLine(error)
  }`;
}

/** One line that says it all, for logs. */
export function summarize(status: RunStatus): string {
  const blocked = status.collections.filter((item) => item.phase === "blocked").length;
  const waiting = status.waits.slice(0, WAITS).map((wait) => waitText(wait, status.at));
  const held = status.sinks.filter(({ state }) => state === "held").map(({ name }) => `${name} is held`);
  return [headline(status), ...(blocked > 0 ? [`${blocked} blocked`] : []), ...held, ...waiting].join("; ");
}

/** `sinks.replica: … (for 12 s, again in 3 s)`; `at`: when the status was taken. */
function waitText({ component, collection, reason, since, next }: WaitStatus, at: string): string {
  const span = (from: string, to: string) => formatDuration(Math.max(0, Date.parse(to) - Date.parse(from)));
  const times = [
    ...since === "" || at === "" ? [] : [`for ${span(since, at)}`],
    ...next === "" || at === "" ? [] : [`again in ${span(at, next)}`],
  ];
  const who = collection === "" ? component : `${collection} (${component})`;
  return `${who}: ${oneLine(reason)}${times.length === 0 ? "" : ` (${times.join(", ")})`}`;
}

/** Milliseconds that the base copy still takes at the present rate; undefined where that cannot be said. */
export function etaMs(status: RunStatus): number | undefined {
  if (status.phase !== "base") return undefined;
  const { done, total } = totals(status);
  if (total <= done || status.rates.rowsPerSec < 1) return undefined;
  return parseFloat((total - done).toString()) / status.rates.rowsPerSec * 1000;
}

function headline(status: RunStatus): string {
  const { done, total } = totals(status);
  const parts = [`${status.pipeline}: ${status.phase}`];
  if (status.phase === "base" && total > 0n) {
    parts.push(`${count(done)} of ${count(total)} ${plural(total, "row")} (${done * 100n / total} %)`);
  }
  if (status.rates.rowsPerSec >= 0.5) parts.push(`${rate(status.rates.rowsPerSec)} rows/s`);
  if (status.rates.bytesPerSec >= 1024) parts.push(`${formatSize(Math.round(status.rates.bytesPerSec))}/s`);
  const eta = etaMs(status);
  if (eta !== undefined) parts.push(`about ${formatDuration(eta)} left`);
  if (status.phase === "tail" || status.phase === "done" || status.phase === "waiting") parts.push(lagOf(status.lagMs));
  if (status.inFlightBytes > 0) parts.push(`${formatSize(status.inFlightBytes)} in flight`);
  return parts.join(", ");
}

function totals(status: RunStatus): { done: bigint; total: bigint } {
  let done = 0n;
  let total = 0n;
  for (const item of status.collections) {
    done += item.rowsDone;
    total += item.rowsTotal;
  }
  return { done, total };
}

const ORDER: Readonly<Record<CollectionStatus["phase"], number>> = {
  blocked: 0,
  base: 1,
  pending: 2,
  tail: 3,
  dropped: 4,
};

/** The ones that need attention first, then those that are being copied, then the busiest. */
function pick(collections: readonly CollectionStatus[]): readonly CollectionStatus[] {
  const busy = (item: CollectionStatus) => item.inserted + item.deleted;
  return [...collections].sort((a, b) =>
    ORDER[a.phase] - ORDER[b.phase] || (busy(a) < busy(b) ? 1 : busy(a) > busy(b) ? -1 : 0) ||
    `${a.db}.${a.name}`.localeCompare(`${b.db}.${b.name}`)
  ).slice(0, SHOWN);
}

function collectionRow(item: CollectionStatus): string[] {
  const source = `${item.db}.${item.name}`;
  return [
    source === item.target || item.target === "" ? source : `${source} -> ${item.target}`,
    phaseOf(item),
    item.segmentsTotal === 0 ? "-" : `${item.segmentsDone}/${item.segmentsTotal}`,
    item.phase === "base" && item.rowsTotal > 0n
      ? `${count(item.rowsDone)}/${count(item.rowsTotal)}`
      : count(item.rowsDone),
    count(item.inserted),
    count(item.deleted),
  ];
}

/** While the target imports, nothing else of the collection moves. */
function phaseOf({ phase, imports, refusedRows }: CollectionStatus): string {
  if (phase === "tail" && refusedRows !== undefined) return refusedRows.held > 0 ? "partly held" : "partly aside";
  if (phase !== "base" || imports === undefined || imports.done === imports.total) return phase;
  return `import ${imports.done}/${imports.total}, ${imports.percent} %`;
}

/** As the queue says it; nothing where it says nothing, or the run is at the end. */
function behindOf({ behind }: ChannelStatus): string {
  const { records, bytes } = behind ?? {};
  const parts = [
    ...(records === undefined || records === 0 ? [] : [`${records} ${plural(records, "record")}`]),
    ...(bytes === undefined || bytes === 0 ? [] : [`about ${formatSize(bytes)}`]),
  ];
  return parts.length === 0 ? "" : `, ${parts.join(", ")} to read`;
}

function lagOf(ms: number): string {
  return `lag ${formatDuration(ms)}`;
}

/** `1 234 567`. */
export function count(value: bigint | number): string {
  return value.toString().replace(/\B(?=(\d{3})+(?!\d))/g, " ");
}

function rate(perSec: number): string {
  return perSec < 10 ? perSec.toFixed(1).replace(/\.0$/, "") : count(Math.round(perSec));
}

/** "sales.items: 3 rows held (keys 1, 2, 5): field title has 40 bytes, the target's max_length is 8". */
export function refusedRowsText(collection: string, { held, deadLetters, keys, reason }: RefusedRowsStatus): string {
  const counts = [
    ...held > 0 ? [`${rowsText(held)} held`] : [],
    ...deadLetters > 0 ? [`${rowsText(deadLetters)} put aside as dead letters`] : [],
  ];
  const more = held + deadLetters > keys.length ? ", …" : "";
  return `${collection}: ${counts.join(", ")} (keys ${keys.join(", ")}${more}): ${oneLine(reason)}`;
}

function rowsText(rows: number): string {
  return `${count(rows)} ${plural(rows, "row")}`;
}

function oneLine(text: string): string {
  return text.replace(/\s*\n\s*/g, " ").trim();
}

/** The lines that only `status` shows: when it was taken and what is safe. */
export function renderStatusFoot(status: RunStatus, now: Date): string[] {
  const age = (iso: string) =>
    iso === "" ? "never" : `${iso} (${formatDuration(Math.max(0, now.getTime() - Date.parse(iso)))} ago)`;
  const safe = completeTo(status);
  return [
    `  started     ${age(status.startedAt)}`,
    `  checkpoint  ${age(status.checkpointAt)}`,
    ...(safe === undefined ? [] : [
      `  complete to ${isoOfHybrid(safe)} on all channels${exceptions(status)}`,
    ]),
  ];
}

/** What the source has stamped is in its log after so long, if it is written at all. */
const WRITTEN_MS = 1000;
/** By how much this machine's clock and the source's are thought to differ, at most, where no tick tells the source's. */
const CLOCKS_APART_MS = 60_000;

/**
 * Everything up to here is on the sinks, on all channels. One on which nothing is written stays at its last tick, though nothing
 * is behind: it is complete up to a while before its log was found at its end, by the source's clock, of which the newest tick of
 * any channel tells.
 */
function completeTo({ channels, checkpointAt }: RunStatus): HybridTs | undefined {
  const known = channels.filter(({ tick }) => tick > 0n);
  if (known.length === 0) return undefined;
  const newest = known.map(({ tick }) => tick).reduce(later);
  const at = hybridFromMs(Math.max(0, Date.parse(checkpointAt) || 0));
  return known.map(({ tick, idleMs }) =>
    idleMs === undefined
      ? tick
      : [before(newest, WRITTEN_MS + idleMs), before(at, CLOCKS_APART_MS + WRITTEN_MS + idleMs)].reduce(later, tick)
  ).reduce((a, b) => a < b ? a : b);
}

function later(a: HybridTs, b: HybridTs): HybridTs {
  return a > b ? a : b;
}

function before(ts: HybridTs, ms: number): HybridTs {
  return ts - (BigInt(Math.ceil(ms)) << 18n);
}

/** Of what the channels say nothing: its rows are behind, wherever they stand. */
function exceptions({ collections }: RunStatus): string {
  const held = collections.some(({ phase, refusedRows }) => phase === "blocked" || (refusedRows?.held ?? 0) > 0);
  const copied = collections.some(({ phase }) => phase === "base" || phase === "pending");
  const what = [...held ? ["held"] : [], ...copied ? ["still copied"] : []];
  return what.length === 0 ? "" : `, but for what is ${what.join(" or ")}`;
}
