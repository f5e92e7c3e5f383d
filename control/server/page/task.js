import { ask, taskPath } from "./api.js";
import { backupsPanel } from "./backups.js";
import { chart } from "./chart.js";
import { el, fill, table } from "./dom.js";
import { jobsTable, lastVerification } from "./jobs.js";
import { rows } from "./rows.js";
import { ago, behind, count, duration, rate, size, stateClass, stateWord } from "./words.js";

/** As the alert rule TidemarkLogLoss. */
const SOON_MS = 4 * 3_600_000;

/** One task: how it is, why, and what can be done. `readOnly`: beside a run nothing can be changed. */
export function taskView(name) {
  const head = el("div");
  const cards = el("dl", { class: "cards" });
  const base = el("div");
  const said = el("p", { role: "status" });
  const charts = el("div", { class: "panels" });
  const waits = el("div");
  const waiting = panel("Waits for", waits);
  const warnings = el("div");
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
    key: ({ source, target }) => `${source} ${target}`,
    columns: [
      { title: "Collection" },
      { title: "Phase" },
      { title: "Base", class: "number" },
      { title: "Inserted", class: "number wide" },
      { title: "Deleted", class: "number wide" },
      { title: "Why", class: "why" },
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
  const backups = backupsPanel();
  const commands = byHand(name);
  let task;
  let verified;
  let readOnly = false;

  const act = (what, work, well = "done") => async (event) => {
    const button = event.currentTarget;
    button.disabled = true;
    said.className = "";
    said.textContent = `${what} …`;
    try {
      await work();
      said.textContent = `${what}: ${well}`;
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
    class: "main",
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
        onclick: act(word(kind), job(kind), "begun, see Jobs"),
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
    commands,
    said,
    cards,
    base,
    charts,
    waiting,
    warnings,
    el(
      "section",
      { class: "panel" },
      el("h2", {}, "Collections"),
      el("div", { class: "bar" }, filter),
      collections.element,
    ),
    panel("Channels", channels),
    backups.element,
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
      readOnly ? undefined : ask(`/api/v1/jobs?task=${encodeURIComponent(name)}`).catch((error) => {
        if (error.status !== 404) throw error;
        readOnly = true;
      }),
    ]);
    const { samples } = history;
    charts.replaceChildren(
      el("div", { class: "panel" }, chart({ title: "Lag", samples, value: (one) => one.lag_ms, words: duration })),
      el("div", { class: "panel" }, chart({ title: "Rows", samples, value: (one) => one.rows_per_sec, words: rate })),
    );
    const text = lines.lines.map(({ time, level, message }) => `${time} ${level.toUpperCase()} ${message}`).join("\n");
    if (logs.textContent !== text) {
      const followed = logs.scrollTop + logs.clientHeight >= logs.scrollHeight - 4;
      logs.textContent = text || "Nothing yet";
      if (followed) logs.scrollTop = logs.scrollHeight;
    }
    fill(
      ddl,
      table(
        ["When", "Change", "Result"],
        changes.changes.slice(-100).reverse().map((
          one,
        ) => [
          el("span", { class: "time" }, one.at),
          one.sentence,
          [one.result, one.detail].filter(Boolean).join(": "),
        ]),
      ),
    );
    // Beside a run there are no jobs, and nothing to press.
    buttons.hidden = readOnly;
    commands.hidden = readOnly;
    jobs.parentElement.hidden = readOnly;
    fill(jobs, jobsTable(work?.jobs ?? [], act));
    verified = lastVerification(work?.jobs ?? []);
    backups.set(task, work?.jobs ?? []);
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
      fill(cards, ...(status === null ? [] : numbers(task, status, verified)));
      fill(base, ...baseOf(status));
      fill(waits, ...waitsOf(status));
      waiting.hidden = (status?.waits ?? []).length === 0;
      fill(warnings, ...warningsOf(status));
      fill(
        channels,
        table(
          ["Channel", "Position", "Complete to", "Lag", "Behind", "Lost in"],
          (status?.channels ?? []).map((one) => [
            one.pchannel,
            one.position,
            el("span", { class: "time" }, one.complete_to ?? "–"),
            duration(one.lag_ms),
            behind(one) || "–",
            lossOf(one),
          ]),
        ),
      );
      const text = JSON.stringify(task.config, null, 2);
      if (config.textContent !== text) config.textContent = text;
      show();
    },
  };
}

/** When the log's retention reaches what is read next; why nobody knows is said to who asks. */
function lossOf({ loss_ms: ms, loss_why: why }) {
  const soon = ms !== null && ms < SOON_MS;
  return el(
    "span",
    { class: soon ? "bad" : "", title: why ?? "" },
    ms === null ? "–" : ms === 0 ? "now" : duration(ms),
  );
}

function panel(title, body) {
  return el("section", { class: "panel" }, el("h2", {}, title), body);
}

function word(kind) {
  return kind[0].toUpperCase() + kind.slice(1);
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

function numbers(task, status, verified) {
  const card = (title, value, more) =>
    el("div", { class: "card" }, el("dt", {}, title), el("dd", {}, value, more ? el("small", {}, more) : null));
  const blocked = status.collections.filter(({ phase }) => phase === "blocked").length;
  return [
    card("Phase", status.phase, `said ${ago(status.at)}`),
    card(
      "Lag",
      duration(status.lag_ms),
      behind(status) ? `${behind(status)} behind` : "",
    ),
    card("Rate", rate(status.rows_per_sec), `${size(status.bytes_per_sec)}/s`),
    card("Collections", count(status.collections.length), blocked > 0 ? `${count(blocked)} blocked` : "none blocked"),
    card("Tail", count(status.inserted), `inserted, ${count(status.deleted)} deleted`),
    card("Checkpoint", ago(status.checkpoint_at), `${size(status.in_flight_bytes)} in flight`),
    ...verified === undefined ? [] : [card("Last verification", verified.verdict, verified.when)],
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
  return lines.length === 0 ? [] : [el("ul", {}, ...lines)];
}

function warningsOf(status) {
  const lines = [
    ...status?.last_error ? [el("li", { class: "bad" }, `Last error: ${status.last_error}`)] : [],
    ...(status?.warnings ?? []).slice(-20).map((text) => el("li", {}, text)),
  ];
  return lines.length === 0 ? [] : [panel("Warnings", el("ul", {}, ...lines))];
}

/** The requests and commands that do what the buttons do. */
function byHand(name) {
  const at = location.origin + taskPath(name);
  const job = (kind, command) =>
    `tidemark ${command} --config pipeline.yaml\n  curl -X POST ${at}/jobs -H 'content-type: application/json' -d '{"kind":"${kind}"}'`;
  const lines = [
    `curl -X POST ${at}/pause`,
    `curl -X POST ${at}/resume`,
    job("verify", "verify"),
    job("check", "check"),
    job("plan", "plan"),
    job("backups", "backup list --moments"),
  ];
  return el(
    "details",
    {},
    el("summary", {}, "The same from a terminal"),
    el("pre", { tabindex: 0, "aria-label": "The same from a terminal" }, lines.join("\n")),
  );
}
