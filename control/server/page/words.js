/** @param {number | null | undefined} value `1 234 567` */
export function count(value) {
  return value === null || value === undefined
    ? "–"
    : Math.round(value).toString().replace(/\B(?=(\d{3})+(?!\d))/g, "\u202f");
}

/** @param {number | null | undefined} ms */
export function duration(ms) {
  if (ms === null || ms === undefined) return "–";
  const seconds = ms / 1000;
  if (seconds < 10) return `${seconds.toFixed(1)} s`;
  if (seconds < 120) return `${Math.round(seconds)} s`;
  if (seconds < 7200) return `${Math.round(seconds / 60)} min`;
  if (seconds < 172800) return `${(seconds / 3600).toFixed(1)} h`;
  return `${Math.round(seconds / 86400)} d`;
}

/** @param {number | null | undefined} bytes */
export function size(bytes) {
  if (bytes === null || bytes === undefined) return "–";
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  let at = 0;
  for (; bytes >= 1024 && at < units.length - 1; at++) bytes /= 1024;
  return `${at === 0 ? Math.round(bytes) : bytes.toFixed(1)} ${units[at]}`;
}

/** What the queue says of it; empty where that is nothing. */
export function behind({ records_behind: records, bytes_behind: bytes }) {
  return [
    ...records === null ? [] : [`${count(records)} records`],
    ...bytes === null || bytes === undefined ? [] : [records === null ? `about ${size(bytes)}` : size(bytes)],
  ].join(", ");
}

export function rate(perSec) {
  return perSec === null || perSec === undefined ? "–" : `${perSec < 10 ? perSec.toFixed(1) : count(perSec)}/s`;
}

export function ago(iso) {
  return iso ? `${duration(Math.max(0, Date.now() - Date.parse(iso)))} ago` : "never";
}

/** @param {string | number} time `2026-11-19 14:05:00Z`, in UTC as everywhere in Tidemark */
export function moment(time) {
  return `${new Date(time).toISOString().slice(0, 19).replace("T", "\u00a0")}Z`;
}

const BAD = ["failed", "blocked", "backing_off"];
const WARN = ["waiting", "starting", "stopping"];

export function stateClass(state) {
  return BAD.includes(state)
    ? "bad"
    : WARN.includes(state)
    ? "warn"
    : state === "paused" || state === "done"
    ? "quiet"
    : "good";
}

/** What needs somebody first. */
export function urgency(task) {
  const at = [...BAD, ...WARN, "running", "paused", "done"].indexOf(task.state);
  return at < 0 ? 99 : at;
}

export function stateWord(state) {
  return state.replaceAll("_", " ");
}
