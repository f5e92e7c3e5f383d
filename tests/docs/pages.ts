/** The pages that people read, taken apart: blocks of code, headings, links, tables. */

export const ROOT = new URL("../../", import.meta.url);

export interface Block {
  readonly page: string;
  /** Line of the fence, from 1. */
  readonly line: number;
  /** The word behind the fence; empty for an indented block. */
  readonly language: string;
  /** Anchor of the heading above it. */
  readonly section: string;
  readonly text: string;
}

export interface Link {
  readonly page: string;
  readonly line: number;
  readonly target: string;
}

export interface Page {
  /** Path below the root. */
  readonly path: string;
  readonly text: string;
  readonly blocks: readonly Block[];
  readonly links: readonly Link[];
  /** Anchors of the headings, in order. */
  readonly anchors: readonly string[];
  /** Inline code outside of blocks. */
  readonly inline: readonly { readonly line: number; readonly text: string }[];
  /** Anchors of the sections that have a table. */
  readonly tables: readonly string[];
}

/** README.md and every page of docs/. */
export function readPages(): Page[] {
  const names = [...Deno.readDirSync(new URL("docs", ROOT))].filter(({ name }) => name.endsWith(".md"))
    .map(({ name }) => `docs/${name}`);
  return ["README.md", ...names.sort()].map((path) => parsePage(path, Deno.readTextFileSync(new URL(path, ROOT))));
}

/** Reads the Markdown that the formatter leaves: fences of three backticks, headings with #, tables with outer bars. */
export function parsePage(path: string, text: string): Page {
  const blocks: Block[] = [];
  const links: Link[] = [];
  const anchors: string[] = [];
  const inline: { line: number; text: string }[] = [];
  const tables = new Set<string>();
  let fence: { line: number; language: string; indent: number; lines: string[] } | undefined;
  text.split("\n").forEach((row, index) => {
    const line = index + 1;
    const section = anchors.at(-1) ?? "";
    const mark = /^(\s*)```(\w*)$/.exec(row);
    if (fence !== undefined) {
      if (mark === null) fence.lines.push(row.slice(fence.indent));
      else {
        blocks.push({ page: path, line: fence.line, language: fence.language, section, text: fence.lines.join("\n") });
        fence = undefined;
      }
      return;
    }
    if (mark !== null) {
      fence = { line, language: mark[2]!, indent: mark[1]!.length, lines: [] };
      return;
    }
    const heading = /^#+ (.*)$/.exec(row);
    if (heading !== null) anchors.push(anchorOf(heading[1]!, anchors));
    if (/^\s*\|/.test(row)) tables.add(section);
    for (const [, code] of row.matchAll(/`([^`]+)`/g)) inline.push({ line, text: code! });
    const prose = row.replaceAll(/`[^`]*`/g, "");
    for (const [, target] of prose.matchAll(/\]\(([^)\s]+)\)/g)) links.push({ page: path, line, target: target! });
  });
  if (fence !== undefined) throw new Error(`${path}:${fence.line}: the block has no end`);
  return { path, text, blocks, links, anchors, inline, tables: [...tables] };
}

/** The anchor that GitHub gives a heading: small letters, blanks as -, no punctuation; a number where it is taken. */
export function anchorOf(heading: string, taken: readonly string[] = []): string {
  const plain = heading.toLowerCase().replaceAll(/[^\p{L}\p{N}_\- ]/gu, "").replaceAll(" ", "-");
  let anchor = plain;
  for (let n = 1; taken.includes(anchor); n++) anchor = `${plain}-${n}`;
  return anchor;
}
