/** Blocks of shell as the pages have them: one command a line, variables before it, a remark behind it. */
import type { Block } from "./pages.ts";

export interface ShellCommand {
  readonly page: string;
  readonly line: number;
  /** `NAME=value` before the command, and what `export` sets. */
  readonly env: Readonly<Record<string, string>>;
  /** Words as a shell would hand them over; `$(…)` is one word as it stands. */
  readonly words: readonly string[];
}

/** Commands of a block, in order. Throws for what a reader could not paste into a shell. */
export function shellCommands(block: Block): ShellCommand[] {
  const commands: ShellCommand[] = [];
  let words: string[] = [];
  let line = block.line + 1;
  let began = line;
  const end = () => {
    if (words.length > 0) commands.push(commandOf(block.page, began, words));
    words = [];
  };
  let rest = block.text;
  for (;;) {
    const blank = /^[ \t]+/.exec(rest);
    if (blank !== null) rest = rest.slice(blank[0].length);
    if (rest.startsWith("#")) rest = rest.slice(/^[^\n]*/.exec(rest)![0].length);
    if (rest === "" || rest.startsWith("\n")) {
      end();
      if (rest === "") return commands;
      line++;
      rest = rest.slice(1);
      continue;
    }
    if (words.length === 0) began = line;
    const word = /^(?:\$\([^)\n]*\)|"(?:[^"\\]|\\.)*"|'[^']*'|[^\s"'#;&<>()…|]|(?<=\S)#|\|)+/.exec(rest);
    if (word === null) throw new Error(`${block.page}:${line}: cannot be pasted as it stands: ${rest.split("\n")[0]}`);
    words.push(unquoted(word[0]));
    line += word[0].split("\n").length - 1;
    rest = rest.slice(word[0].length);
  }
}

function unquoted(word: string): string {
  const plain = (text: string) =>
    text.replaceAll(/"((?:[^"\\]|\\.)*)"|'([^']*)'/g, (_, double, single) => single ?? double);
  return word.split(/(\$\([^)\n]*\))/).map((part) => part.startsWith("$(") ? part : plain(part)).join("");
}

function commandOf(page: string, line: number, words: readonly string[]): ShellCommand {
  const assigned = words[0] === "export"
    ? words.slice(1)
    : words.slice(0, words.findIndex((word) => !isAssignment(word)));
  const env = Object.fromEntries(assigned.map((word) => {
    const at = word.indexOf("=");
    return [word.slice(0, at), word.slice(at + 1)];
  }));
  return { page, line, env, words: words[0] === "export" ? ["export"] : words.slice(assigned.length) };
}

function isAssignment(word: string): boolean {
  return /^[A-Z_][A-Z0-9_]*=/.test(word);
}
