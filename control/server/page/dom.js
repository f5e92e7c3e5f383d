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

/** Replaces what is in `parent`, and leaves it alone where nothing is different, so that focus and selection stay. */
export function fill(parent, ...children) {
  const next = el("div", {}, ...children);
  if (parent.innerHTML !== next.innerHTML) parent.replaceChildren(...next.childNodes);
}
