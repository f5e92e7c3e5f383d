import { el } from "./dom.js";

const HEAD = 32;
const SPARE = 8;
/** So few are shown without a box of their own that scrolls. */
const SHORT = 12;

/**
 * A table of which only the rows in sight are in the page, so that thousands cost as much as twenty. Their height is the
 * style sheet's `--row`.
 * @param {{ label: string, kind: string, key: (item: any) => string, columns: { title: string, class?: string }[],
 *   row: (item: any) => (Node | string)[] }} options
 */
export function rows({ label, kind, key, columns, row }) {
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
    const height = parseInt(getComputedStyle(box).getPropertyValue("--row"), 10) || 40;
    const short = items.length <= SHORT;
    box.classList.toggle("short", short);
    space.style.height = `${items.length * height}px`;
    box.setAttribute("aria-rowcount", String(items.length + 1));
    const top = short ? 0 : Math.max(0, Math.floor((box.scrollTop - HEAD) / height) - SPARE);
    const end = short ? items.length : Math.min(items.length, top + Math.ceil(box.clientHeight / height) + 2 * SPARE);
    const next = new Map();
    for (let at = top; at < end; at++) {
      const item = items[at];
      const parts = row(item);
      const old = shown.get(key(item));
      const element = old === undefined ? el("div", { class: "row", role: "row" }, ...cells("cell", parts)) : old;
      if (old !== undefined) parts.forEach((part, cell) => renew(old.children[cell], part));
      element.setAttribute("aria-rowindex", String(at + 2));
      element.style.top = `${at * height}px`;
      next.set(key(item), element);
    }
    for (const [name, element] of shown) if (!next.has(name)) element.remove();
    let place = space.firstElementChild;
    for (const element of next.values()) {
      if (element === place) place = place.nextElementSibling;
      else if (element.isConnected && "moveBefore" in space) space.moveBefore(element, place);
      else space.insertBefore(element, place);
    }
    shown = next;
  }
  box.addEventListener("scroll", draw, { passive: true });
  new ResizeObserver(draw).observe(box);
  return {
    element: box,
    set(all) {
      items = all;
      draw();
    },
  };
}

/** A cell that says the same stays, and with it the focus inside. */
function renew(cell, part) {
  const made = el("div", {}, part);
  if (cell.innerHTML !== made.innerHTML) cell.replaceChildren(...made.childNodes);
}
