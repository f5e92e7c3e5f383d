/**
 * Makes an element. Text stays text: nothing of an answer becomes markup.
 * @param {string} tag
 * @param {Record<string, unknown>} [attributes] `class`, `on…` listeners, everything else as an attribute
 * @param {...(Node | string | null | undefined)} children
 * @returns {HTMLElement}
 */
export function el(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === undefined || value === null || value === false) continue;
    if (typeof value === "function") element.addEventListener(name.slice(2), value);
    else element.setAttribute(name, value === true ? "" : String(value));
  }
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
}

/**
 * Replaces what is in `parent`, and leaves it alone where nothing is different, so that selection stays. The focus goes to
 * what has the same `data-key`.
 */
export function fill(parent, ...children) {
  const next = el("div", {}, ...children);
  if (parent.innerHTML === next.innerHTML) return;
  const key = parent.contains(document.activeElement) ? document.activeElement.dataset.key : undefined;
  parent.replaceChildren(...next.childNodes);
  if (key !== undefined) parent.querySelector(`[data-key="${CSS.escape(key)}"]`)?.focus({ preventScroll: true });
}

/** @param {string[]} head @param {(Node | string | null | undefined)[][]} body */
export function table(head, body) {
  if (body.length === 0) return el("p", { class: "quiet" }, "None");
  const cell = (content) => {
    if (content instanceof Node) return el("td", {}, content);
    const text = String(content ?? "");
    return el("td", { class: text.length > 30 && text.includes(" ") ? "long" : undefined }, text);
  };
  return el(
    "table",
    {},
    el("thead", {}, el("tr", {}, ...head.map((title) => el("th", { scope: "col" }, title)))),
    el("tbody", {}, ...body.map((cells) => el("tr", {}, ...cells.map(cell)))),
  );
}
