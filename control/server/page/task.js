import { ask, taskPath } from "./api.js";
import { chart } from "./chart.js";
import { el, fill } from "./dom.js";
import { rows } from "./rows.js";
import { ago, count, duration, rate, size, stateClass, stateWord } from "./words.js";

/** One task: how it is, why, and what can be done. `readOnly`: beside a run nothing can be changed. */
export function taskView(name) {
  const head = el("div");
  const cards = el("dl", { class: "cards" });
  const base = el("div");
  const said = el("p", { role: "status" });
  const charts = el("div", { class: "panels" });
  const waits = el("div");
  const channels = el("div", { class: "scroll", tabindex: 0, role: "group", "aria-label": "Channels" });
  const jobs = el("div", { class: "scroll", tabindex: 0, role: "group", "aria-label": "Jobs" });
  const ddl = el("div", { class: "scroll", tabindex: 0, role: "group", "aria-label": "Changes of structure" });
  const logs = el("pre", { tabindex: 0, "aria-label": "Log" });
  const config = el("pre", { tabindex: 0, "aria-label": "Configuration" });
  const filter = el("input", {
    type: "search",
    placeholder: "Collection or reason",
    "aria-label": "Show only collections with",
    oninput: () => show(),
  });
  const collections = rows({
    label: "Collections",
    kind: "collections",
    columns: [
      { title: "Collection" },
      { title: "Phase" },
      { title: "Base", class: "number" },
      { title: "Inserted", class: "number wide" },
      { title: "Deleted", class: "number wide" },
      { title: "Why", class: "wide" },
    ],
    row: (one) => [
      el("span", { title: `${one.source} to ${one.target}` }, one.source),
      el("span", { class: one.phase === "blocked" ? "bad" : one.rows_held > 0 ? "warn" : "" }, one.phase),
      one.phase === "base" ? `${count(one.rows_done)} / ${count(one.rows_total)}` : count(one.rows_done),
      count(one.inserted),
      count(one.deleted),
      el("span", { title: one.reason ?? "" }, one.reason ?? ""),
    ],
  });
  let task;

  const act = (what, work) => async (event) => {
    const button = event.currentTarget;
    button.disabled = true;
    said.className = "";
    said.textContent = `${what} …`;
    try {
      await work();
      said.textContent = `${what}: done`;
    } catch (error) {
      said.className = "bad";
      said.textContent = `${what}: ${error.message}`;
    } finally {
      button.disabled = false;
    }
  };
  const job = (kind) => () => ask(taskPath(name, "/jobs"), { method: "POST", body: { kind } });
  const pause = el("button", {
    type: "button",
    onclick: act("Pause", () => ask(taskPath(name, "/pause"), { method: "POST" })),
  }, "Pause");
  const resume = el("button", {
    type: "button",
    onclick: act("Resume", () => ask(taskPath(name, "/resume"), { method: "POST" })),
  }, "Resume");
  const buttons = el(
    "div",
    { class: "bar", role: "group", "aria-label": "Actions" },
    pause,
    resume,
    ...["verify", "check", "plan", "backups"].map((kind) =>
      el("button", {
        type: "button",
        onclick: act(`Begin ${kind}`, job(kind)),
        title: `tidemark ${kind === "backups" ? "backup list" : kind} --config FILE`,
      }, word(kind))
    ),
  );
  const element = el(
    "div",
    {},
    el("p", {}, el("a", { href: "#/" }, "All tasks")),
    head,
    buttons,
    said,
    cards,
    base,
    charts,
    panel("Waits for", waits),
    el(
      "section",
      { class: "panel" },
      el("h2", {}, "Collections"),
      el("div", { class: "bar" }, filter),
      collections.element,
    ),
    panel("Channels", channels),
    panel("Jobs", jobs),
    panel("Changes of structure", ddl),
    panel("Log", logs),
    panel("Configuration", config),
  );

  function show() {
    const words = filter.value.toLowerCase();
    const all = task?.status?.collections ?? [];
    const found = all.filter(({ source, reason }) => `${source} ${reason ?? ""}`.toLowerCase().includes(words));
    collections.set(found);
  }

  async function details() {
    const [history, lines, changes, work] = await Promise.all([
      ask(taskPath(name, "/history")),
      ask(taskPath(name, "/logs?limit=200")),
      ask(taskPath(name, "/ddl")),
      ask(`/api/v1/jobs?task=${encodeURIComponent(name)}`).catch(() => undefined),
    ]);
    const { samples } = history;
    charts.replaceChildren(
      el("div", { class: "panel" }, chart({ title: "Lag", samples, value: (one) => one.lag_ms, words: duration })),
      el("div", { class: "panel" }, chart({ title: "Rows", samples, value: (one) => one.rows_per_sec, words: rate })),
    );
    const text = lines.lines.map(({ time, level, message }) => `${time} ${level.toUpperCase()} ${message}`).join("\n");
    if (logs.textContent !== text) logs.textContent = text || "Nothing yet";
    fill(
      ddl,
      table(
        ["When", "Change", "Result"],
        changes.changes.slice(-100).reverse().map((
          one,
        ) => [one.at, one.sentence, [one.result, one.detail].filter(Boolean).join(": ")]),
      ),
    );
    // Beside a run there are no jobs, and nothing to press.
    buttons.hidden = work === undefined;
    jobs.parentElement.hidden = work === undefined;
    fill(
      jobs,
      table(
        ["Job", "State", "Since", "Says"],
        (work?.jobs ?? []).map((
          one,
        ) => [one.kind, stateOf(one), ago(one.created_at), one.error?.message ?? one.progress]),
      ),
    );
  }

  return {
    element,
    path: taskPath(name),
    details,
    set(answer) {
      task = answer;
      const { status } = task;
      document.title = `${name}: ${stateWord(task.state)} – Tidemark`;
      pause.disabled = task.wanted === "paused";
      resume.disabled = task.wanted === "running" && task.state !== "failed";
      fill(
        head,
        el("h1", {}, name),
        el("p", {}, el("span", { class: `state ${stateClass(task.state)}` }, stateWord(task.state))),
        ...reasons(task),
      );
      fill(cards, ...(status === null ? [] : numbers(task, status)));
      fill(base, ...baseOf(status));
      fill(waits, ...waitsOf(status));
      fill(
        channels,
        table(
          ["Channel", "Position", "Complete to", "Lag", "Behind"],
          (status?.channels ?? []).map((one) => [
            one.pchannel,
            one.position,
            one.complete_to ?? "–",
            duration(one.lag_ms),
            one.records_behind === null ? "–" : `${count(one.records_behind)} records`,
          ]),
        ),
      );
      const text = JSON.stringify(task.config, null, 2);
      if (config.textContent !== text) config.textContent = text;
      show();
    },
  };
}

function panel(title, body) {
  return el("section", { class: "panel" }, el("h2", {}, title), body);
}

function word(kind) {
  return kind[0].toUpperCase() + kind.slice(1);
}

function stateOf({ state, exit, kind }) {
  if (kind === "verify" && state === "done") return exit === 0 ? "equal" : "not equal";
  return exit === null || exit === 0 ? state : `${state}, exit ${exit}`;
}

function reasons({ reason, state, last_end: end, next_start_at: next }) {
  const found = [];
  if (reason) {
    found.push(el("p", { class: `reason ${["waiting", "starting"].includes(state) ? "warned" : ""}` }, reason));
  }
  if (end !== null) {
    const again = next ? `, is started again in ${duration(Math.max(0, Date.parse(next) - Date.now()))}` : "";
    found.push(
      el(
        "p",
        { class: "quiet" },
        `Its process ended ${ago(end.at)} (exit ${end.code})${again}: ${
          [end.reason, end.hint].filter(Boolean).join(". ")
        }`,
      ),
    );
  }
  return found;
}

function numbers(task, status) {
  const card = (title, value, more) =>
    el("div", { class: "card" }, el("dt", {}, title), el("dd", {}, value, more ? el("small", {}, more) : null));
  const blocked = status.collections.filter(({ phase }) => phase === "blocked").length;
  return [
    card("Phase", status.phase, `said ${ago(status.at)}`),
    card(
      "Lag",
      duration(status.lag_ms),
      status.records_behind === null ? "" : `${count(status.records_behind)} records behind`,
    ),
    card("Rate", rate(status.rows_per_sec), `${size(status.bytes_per_sec)}/s`),
    card("Collections", count(status.collections.length), blocked > 0 ? `${count(blocked)} blocked` : "none blocked"),
    card("Tail", count(status.inserted), `inserted, ${count(status.deleted)} deleted`),
    card("Checkpoint", ago(status.checkpoint_at), `${size(status.in_flight_bytes)} in flight`),
    card("Restarts", count(task.restarts), `process ${task.pid ?? "none"}`),
  ];
}

function baseOf(status) {
  if (status === null || status.phase !== "base" || status.rows_total === 0) return [];
  const part = Math.floor(status.rows_done / status.rows_total * 100);
  const left = status.eta_ms === null ? "" : `, about ${duration(status.eta_ms)} left`;
  return [
    el(
      "section",
      { class: "panel" },
      el("h2", {}, "Base"),
      el("progress", { max: 100, value: part, "aria-label": "Progress of the base" }),
      el("p", { class: "quiet" }, `${count(status.rows_done)} of ${count(status.rows_total)} rows, ${part} %${left}`),
    ),
  ];
}

function waitsOf(status) {
  const lines = (status?.waits ?? []).map(({ component, collection, reason, since }) =>
    el(
      "li",
      {},
      `${collection || component}: ${reason}`,
      el("span", { class: "quiet" }, ` (since ${ago(since).replace(" ago", "")})`),
    )
  );
  const bases = (status?.bases ?? []).map(({ sink, good_at: good, failures, error }) =>
    el(
      "li",
      { class: failures > 0 ? "bad" : "" },
      `${sink}: last good base ${ago(good)}${failures > 0 ? `, ${failures} failed since: ${error}` : ""}`,
    )
  );
  if (lines.length + bases.length === 0) return [el("p", { class: "quiet" }, "Nothing")];
  return [el("ul", {}, ...lines, ...bases)];
}

function table(head, body) {
  if (body.length === 0) return el("p", { class: "quiet" }, "None");
  return el(
    "table",
    {},
    el("thead", {}, el("tr", {}, ...head.map((title) => el("th", { scope: "col" }, title)))),
    el("tbody", {}, ...body.map((cells) => el("tr", {}, ...cells.map((cell) => el("td", {}, String(cell ?? "")))))),
  );
}
