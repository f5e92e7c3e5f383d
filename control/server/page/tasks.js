import { el, fill } from "./dom.js";
import { rows } from "./rows.js";
import { count, duration, rate, size, stateClass, stateWord, urgency } from "./words.js";

/** All tasks at a glance, those that need somebody first. */
export function tasksView() {
  const counts = el("ul", { class: "counts", "aria-label": "Tasks by state" });
  const filter = el("input", {
    type: "search",
    placeholder: "Name or reason",
    "aria-label": "Show only tasks with",
    oninput: () => show(),
  });
  const list = rows({
    label: "Tasks",
    kind: "tasks",
    key: ({ name }) => name,
    columns: [
      { title: "State" },
      { title: "Task" },
      { title: "Lag", class: "number" },
      { title: "Behind", class: "number wide" },
      { title: "Rows", class: "number wide" },
      { title: "Blocked", class: "number wide" },
      { title: "Why", class: "why" },
    ],
    row: (task) => [
      el("span", { class: `state ${stateClass(task.state)}` }, stateWord(task.state)),
      el("a", { href: `#/task/${encodeURIComponent(task.name)}`, title: task.name }, task.name),
      duration(task.lag_ms),
      task.records_behind !== null
        ? `${count(task.records_behind)} rec.`
        : typeof task.bytes_behind === "number"
        ? size(task.bytes_behind)
        : "–",
      rate(task.rows_per_sec),
      task.blocked > 0
        ? el("span", { class: "bad" }, `${count(task.blocked)} of ${count(task.collections)}`)
        : `0 of ${count(task.collections)}`,
      el("span", { title: task.reason }, task.reason || progress(task)),
    ],
  });
  const empty = el("p", { class: "quiet" });
  const element = el(
    "div",
    {},
    el("h1", {}, "Tasks"),
    counts,
    el("div", { class: "bar" }, filter),
    el("div", { class: "panel" }, list.element, empty),
  );
  let tasks = [];

  function show() {
    const words = filter.value.toLowerCase();
    const found = tasks.filter(({ name, reason }) => `${name} ${reason}`.toLowerCase().includes(words));
    list.set(found);
    list.element.hidden = found.length === 0;
    empty.textContent = tasks.length === 0
      ? "There is no task yet. POST a pipeline's configuration to /api/v1/tasks to make one."
      : found.length === 0
      ? "No task is like that."
      : "";
  }
  return {
    element,
    path: "/api/v1/tasks",
    set(answer) {
      tasks = answer.tasks.sort((a, b) =>
        urgency(a) - urgency(b) || lagRank(b) - lagRank(a) || a.name.localeCompare(b.name, "en", { numeric: true })
      );
      const states = Map.groupBy(tasks, ({ state }) => state);
      fill(
        counts,
        ...[...states].map(([state, own]) =>
          el("li", {}, el("span", { class: `state ${stateClass(state)}` }, `${count(own.length)} ${stateWord(state)}`))
        ),
      );
      show();
    },
  };
}

function progress(task) {
  if (task.phase !== "base" || !task.rows_total) return "";
  return `base ${Math.floor(task.rows_done / task.rows_total * 100)} %`;
}

/** Coarse, so that tasks that are about as late as each other keep their places. */
function lagRank({ lag_ms: lag }) {
  return Math.floor(Math.log2(1 + (lag ?? 0) / 10_000));
}
