import assert from "node:assert/strict";
import { EXIT } from "../../pipeline/errors.ts";
import { sourceFiles } from "../runner/suites.ts";
import { readPages, ROOT } from "./pages.ts";

const page = readPages().find(({ path }) => path === "docs/troubleshooting.md")!;

/** The words of the program: its texts, put together where they are written in pieces, `…` where a value comes in. */
const words = sourceFiles().filter((path) => !path.startsWith("tests/")).map((path) =>
  Deno.readTextFileSync(new URL(path, ROOT))
    .replaceAll(/["`]\s*\+\s*["`]/g, "")
    .replaceAll('\\"', '"')
).join("\n");

/** First cells of the tables whose heading is "it says". */
function messages(): string[] {
  const found: string[] = [];
  let inside = false;
  for (const row of page.text.split("\n")) {
    const cell = /^\| (.*?) +\|/.exec(row)?.[1];
    if (cell === undefined) inside = false;
    else if (cell === "it says") inside = true;
    else if (inside && !cell.startsWith("---")) found.push(cell);
  }
  return found;
}

Deno.test("troubleshooting: every message that it lists is one that the program can say", () => {
  const found = messages();
  assert.ok(found.length > 30, `only ${found.length} messages were found`);
  const unknown = found.filter((message) =>
    message.split("…").map((piece) => piece.trim()).some((piece) => /\w/.test(piece) && !words.includes(piece))
  );
  assert.deepEqual(unknown, []);
});

Deno.test("troubleshooting: every exit status has its row, and its section where there is something to do", () => {
  const rows = page.text.split("\n").map((row) => /^\| ([\d/]+) +\| .* \|(.*)\|$/.exec(row)).filter((row) =>
    row !== null
  );
  const statuses = rows.flatMap((row) => row[1]!.split("/").map(Number));
  assert.deepEqual(statuses, Object.values(EXIT).sort((a, b) => a - b));
  const silent = rows.filter((row) => row[2]!.trim() === "").map((row) => row[1]);
  assert.deepEqual(silent, ["0"]);
});
