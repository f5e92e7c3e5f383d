import { el, fill, table } from "./dom.js";
import { restoreForm } from "./restore.js";
import { ago, count, moment, size } from "./words.js";

/** Backups that are drawn and listed; there may be more. */
const MOST = 60;
const UNREAD = "“Backups” above reads which there are, and the moments that can be restored.";

/** The backups of a task that makes some: how its bases went, and what the last job that read them has found. */
export function backupsPanel() {
  const bases = el("div");
  const list = el("div");
  const element = el("section", { class: "panel", hidden: true }, el("h2", {}, "Backups"), bases, list);
  let shown;
  return {
    element,
    set(task, jobs) {
      element.hidden = !Object.values(task.config.sinks ?? {}).some((sink) => sink?.type === "backup");
      fill(bases, ...(task.status?.bases ?? []).map(baseLine));
      const job = jobs.find(({ kind, state, result }) =>
        kind === "backups" && state === "done" && Array.isArray(result)
      );
      // Made once for each reading: what a person writes into it stays.
      if (shown === (job?.id ?? "")) return;
      shown = job?.id ?? "";
      list.replaceChildren(...job === undefined ? [el("p", { class: "quiet" }, UNREAD)] : listOf(job, task.config));
    },
  };
}

function baseLine({ sink, good_at: good, tried_at: tried, failures, error }) {
  const failed = failures > 0 ? `, last tried ${ago(tried)}, ${failures} failed since: ${error}` : "";
  return el("p", { class: failures > 0 ? "reason" : "quiet" }, `${sink}: last good base ${ago(good)}${failed}`);
}

function listOf({ result, ended_at: read }, config) {
  const all = result.slice(-MOST);
  if (all.length === 0) return [el("p", { class: "quiet" }, "There is no backup yet.")];
  const latest = all.flatMap(({ restorable }) => restorable ? [restorable.to.iso] : []).sort().at(-1);
  return [
    timeline(all),
    el("p", { class: "quiet" }, `Read ${moment(read)}${result.length > MOST ? `, the newest ${MOST}` : ""}`),
    el(
      "div",
      { class: "scroll", tabindex: 0, role: "group", "aria-label": "Backups" },
      table(
        ["Backup", "Base of", "Can be restored to", "Rows", "Size", "State"],
        all.toReversed().map((one) => [
          one.name,
          el("span", { class: "time" }, moment(one.takenMs)),
          rangeText(one),
          Number(one.rows) < 0 ? "–" : count(Number(one.rows)),
          size(Number(one.bytes)),
          el("span", { class: one.state === "complete" && one.failed === 0 ? "" : "bad" }, stateOf(one)),
        ]),
      ),
    ),
    ...latest === undefined ? [] : [restoreForm(all, config, latest)],
  ];
}

function stateOf({ state, problem, failed }) {
  return failed > 0 ? `${failed} collections missing` : [state, problem].filter(Boolean).join(": ");
}

function rangeText({ restorable, state }) {
  if (!restorable) return state === "complete" ? "its base only" : "–";
  const range = `${moment(restorable.from.iso)} to ${moment(restorable.to.iso)}`;
  const gaps = restorable.gaps.map(({ from, to }) => `${moment(from.iso)} to ${moment(to.iso)}`);
  return gaps.length === 0 ? range : `${range}, except ${gaps.join(", ")}`;
}

/** A bar for each range, a mark for each base, one line a backup. */
function timeline(backups) {
  const from = Math.min(
    ...backups.map(({ takenMs, restorable }) => restorable ? Date.parse(restorable.from.iso) : takenMs),
  );
  const now = Date.now();
  const share = (ms) => Math.min(100, Math.max(0, (ms - from) / Math.max(1, now - from) * 100));
  const piece = (kind, begin, end = begin) => {
    const element = el("span", { class: kind });
    element.style.left = `${share(begin)}%`;
    if (end > begin) element.style.width = `${share(end) - share(begin)}%`;
    return element;
  };
  const span = ({ from, to }) => [Date.parse(from.iso), Date.parse(to.iso)];
  const lines = backups.slice(-12).map((one) =>
    el(
      "div",
      { class: "band" },
      ...one.restorable ? [piece("range", ...span(one.restorable))] : [],
      ...(one.restorable?.gaps ?? []).map((gap) => piece("gap", ...span(gap))),
      piece(one.state === "complete" ? "base" : "base broken", one.takenMs),
    )
  );
  const ranges = backups.filter(({ restorable }) => restorable).length;
  const words = `Backups from ${
    moment(from)
  } until now: ${backups.length}, of which ${ranges} with moments to restore to`;
  return el(
    "figure",
    { class: "timeline" },
    el("div", { role: "img", "aria-label": words }, ...lines),
    el("p", { class: "axis" }, el("span", {}, moment(from)), el("span", {}, "now")),
  );
}
