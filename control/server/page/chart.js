const NS = "http://www.w3.org/2000/svg";
const WIDTH = 600;
const HEIGHT = 120;
const HOUR = 3_600_000;

/** A line over the last hour. What it shows is said in words, too. */
export function chart({ title, samples, value, words, now = Date.now() }) {
  const figure = document.createElement("figure");
  const caption = document.createElement("figcaption");
  const values = samples.map(value);
  const most = values.reduce((max, one) => Math.max(max, one), 0);
  const last = values.at(-1);
  caption.append(span(title), span(values.length === 0 ? "nothing yet" : `now ${words(last)}, at most ${words(most)}`));
  const svg = document.createElementNS(NS, "svg");
  svg.setAttribute("viewBox", `0 0 ${WIDTH} ${HEIGHT}`);
  svg.setAttribute("preserveAspectRatio", "none");
  svg.setAttribute("class", "chart");
  svg.setAttribute("role", "img");
  svg.setAttribute(
    "aria-label",
    `${title} over the last hour: ${
      values.length === 0 ? "nothing yet" : `now ${words(last)}, at most ${words(most)}`
    }`,
  );
  for (const part of [0, 0.5, 1]) {
    const line = document.createElementNS(NS, "line");
    const y = String(2 + part * (HEIGHT - 4));
    line.setAttribute("x1", "0");
    line.setAttribute("x2", String(WIDTH));
    line.setAttribute("y1", y);
    line.setAttribute("y2", y);
    svg.append(line);
  }
  const path = document.createElementNS(NS, "path");
  let before;
  const drawn = samples.map(({ at }, index) => {
    const x = WIDTH * (1 - (now - at) / HOUR);
    const y = 2 + (HEIGHT - 4) * (1 - (most === 0 ? 0 : values[index] / most));
    // A gap is a gap: no line is drawn over a time of which nothing is known.
    const on = before !== undefined && at - before < 60_000;
    before = at;
    const place = `${x.toFixed(1)} ${y.toFixed(1)}`;
    // A sample that stands alone is a dot.
    return on ? `L${place}` : `M${place}h0.01`;
  });
  path.setAttribute("d", drawn.join(""));
  svg.append(path);
  const axis = document.createElement("p");
  axis.className = "axis";
  axis.append(span("1 h ago"), span("now"));
  figure.append(caption, svg, axis);
  return figure;
}

function span(text) {
  const element = document.createElement("span");
  element.textContent = text;
  return element;
}
