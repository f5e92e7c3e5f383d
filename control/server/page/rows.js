import { el } from "./dom.js";

const HEIGHT = 40;
const HEAD = 32;
const SPARE = 8;
/** So few are shown without a box of their own that scrolls. */
const SHORT = 12;

/**
 * A table of which only the rows in sight are in the page, so that thousands cost as much as twenty.
 * @param {{ label: string, kind: string, columns: { title: string, class?: string }[], row: (item: any) => (Node | string)[] }} options
 */
export function rows({ label, kind, columns, row }) {
  const cells = (role, parts) => parts.map((part, at) => el("div", { role, class: columns[at].class }, part));
  const head = el(
    "div",
    { class: "row head", role: "row", "aria-rowindex": 1 },
    ...cells("columnheader", columns.map(({ title }) => title)),
  );
  const space = el("div", { class: "space", role: "rowgroup" });
  const box = el(
    "div",
    { class: `rows ${kind}`, role: "table", "aria-label": label, tabindex: 0 },
    el("div", { role: "rowgroup", class: "headgroup" }, head),
    space,
  );
  let items = [];
  let shown = new Map();

  function draw() {
    const short = items.length <= SHORT;
    box.classList.toggle("short", short);
    space.style.height = `${items.length * HEIGHT}px`;
    box.setAttribute("aria-rowcount", String(items.length + 1));
    const top = short ? 0 : Math.max(0, Math.floor((box.scrollTop - HEAD) / HEIGHT) - SPARE);
    const end = short ? items.length : Math.min(items.length, top + Math.ceil(box.clientHeight / HEIGHT) + 2 * SPARE);
    const next = new Map();
    for (let at = top; at < end; at++) {
      const parts = row(items[at]);
      const made = el("div", { class: "row", role: "row", "aria-rowindex": at + 2 }, ...cells("cell", parts));
      made.style.top = `${at * HEIGHT}px`;
      const old = shown.get(at);
      // A row that says the same stays, and with it the focus inside.
      if (old !== undefined && old.innerHTML === made.innerHTML) next.set(at, old);
      else {
        if (old === undefined) space.append(made);
        else old.replaceWith(made);
        next.set(at, made);
      }
    }
    for (const [at, element] of shown) if (!next.has(at)) element.remove();
    shown = next;
  }
  box.addEventListener("scroll", draw, { passive: true });
  return {
    element: box,
    set(all) {
      items = all;
      draw();
    },
  };
}
