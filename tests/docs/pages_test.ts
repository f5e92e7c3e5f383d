import assert from "node:assert/strict";
import { anchorOf, parsePage, readPages, ROOT } from "./pages.ts";

const pages = readPages();

Deno.test("parsePage finds blocks with their section, links outside of code, and anchors", () => {
  const page = parsePage(
    "a.md",
    "# One two\n\nSee [b](b.md#c), `[no](link)`.\n\n```sh\nrun --it\n```\n\n1. item\n\n   ```yaml\n   # a.yaml\n   key: 1\n   ```\n\n## It's `x`, (y)\n\n| a |\n| - |\n",
  );
  assert.deepEqual(page.links, [{ page: "a.md", line: 3, target: "b.md#c" }]);
  assert.deepEqual(page.blocks.map(({ language, line, section, text }) => [language, line, section, text]), [
    ["sh", 5, "one-two", "run --it"],
    ["yaml", 11, "one-two", "# a.yaml\nkey: 1"],
  ]);
  assert.deepEqual(page.anchors, ["one-two", "its-x-y"]);
  assert.deepEqual(page.tables, ["its-x-y"]);
  assert.deepEqual(page.inline.map(({ text }) => text), ["[no](link)", "x"]);
  assert.throws(() => parsePage("a.md", "```sh\nrun"), /a.md:1: the block has no end/);
});

Deno.test("anchorOf numbers headings of the same words", () => {
  assert.equal(anchorOf("`sinks.<name>.storage` of backup: s3"), "sinksnamestorage-of-backup-s3");
  assert.equal(anchorOf("Same", ["same", "same-1"]), "same-2");
});

Deno.test("README.md is read in five minutes: under 200 lines, and it leads to every page of docs/", () => {
  const [readme, ...rest] = pages;
  assert.ok(readme!.text.split("\n").length < 200);
  const named = readme!.links.map(({ target }) => target.split("#")[0]);
  assert.deepEqual(rest.map(({ path }) => path).filter((path) => !named.includes(path)), []);
});

Deno.test("pages: every link leads to a file and an anchor that exist", () => {
  const broken: string[] = [];
  let followed = 0;
  for (const { page, line, target } of pages.flatMap(({ links }) => links)) {
    if (target.startsWith("https://")) continue;
    followed++;
    const url = new URL(target, new URL(page, ROOT));
    const path = url.pathname.slice(ROOT.pathname.length);
    const there = pages.find((other) => other.path === path);
    const exists = there !== undefined || statOf(url.pathname);
    const anchored = url.hash === "" || there?.anchors.includes(url.hash.slice(1)) === true;
    if (!exists || !anchored) broken.push(`${page}:${line}: ${target}`);
  }
  assert.deepEqual(broken, []);
  assert.ok(followed > 30, `only ${followed} links were found`);
});

function statOf(path: string): boolean {
  try {
    Deno.statSync(path);
    return true;
  } catch {
    return false;
  }
}
