import { ask, Problem, setToken } from "./api.js";
import { el } from "./dom.js";
import { taskView } from "./task.js";
import { tasksView } from "./tasks.js";

const EVERY_MS = 2000;
const main = document.getElementById("main");
const connection = document.getElementById("connection");
let view;
let timer;
/** Answers that come late belong to a view that is gone. */
let turn = 0;
/** When the last answer came. */
let seen;

function route() {
  const match = /^#\/task\/(.+)$/.exec(location.hash);
  document.title = "Tidemark";
  view = match === null ? tasksView() : taskView(decodeURIComponent(match[1]));
  view.shown = false;
  if (main.firstElementChild !== null && document.activeElement !== document.body) main.focus();
  refresh();
}

async function refresh() {
  clearTimeout(timer);
  const mine = ++turn;
  try {
    const answer = await ask(view.path);
    if (mine !== turn) return;
    if (!view.shown) main.replaceChildren(view.element);
    view.shown = true;
    view.set(answer);
    await view.details?.();
    if (mine !== turn) return;
    seen = new Date();
    say("");
  } catch (error) {
    if (mine !== turn) return;
    if (error instanceof Problem && error.status === 401) return login(error.message);
    if (error instanceof Problem && error.status === 404 && !view.shown) {
      main.replaceChildren(el("p", {}, error.message), el("a", { href: "#/" }, "All tasks"));
    }
    const old = seen === undefined ? "" : `. Shown is what was at ${seen.toISOString().slice(11, 19)}Z`;
    say((error instanceof Problem ? error.message : "Not connected; tries again") + old);
  }
  timer = setTimeout(refresh, EVERY_MS);
}

function say(text) {
  if (connection.textContent !== text) connection.textContent = text;
  connection.className = text === "" ? "" : "lost";
}

function login(message) {
  say("");
  const input = el("input", { type: "password", autocomplete: "off", id: "token", required: true });
  const form = el(
    "form",
    {
      onsubmit: (event) => {
        event.preventDefault();
        setToken(input.value.trim());
        route();
      },
    },
    el("h1", {}, "Token"),
    el("p", { class: "quiet" }, message),
    el(
      "div",
      { class: "bar" },
      el("label", { for: "token" }, "Token"),
      input,
      el("button", { type: "submit" }, "Go on"),
    ),
  );
  main.replaceChildren(form);
  input.focus();
}

addEventListener("hashchange", route);
document.addEventListener("visibilitychange", () => document.hidden || refresh());
route();
