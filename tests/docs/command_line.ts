/** What the program's own parser says of a command line that a page shows. */
import { buildProgram } from "../../control/program.ts";
import { commandFirst } from "../../control/command_first.ts";
import { fakeTerminal } from "../control/fake_terminal.ts";

type Program = ReturnType<typeof buildProgram>;

/** Every command of the program, as `backup list`, with its parser. */
export function allCommands(): ReadonlyMap<string, Program> {
  const found = new Map<string, Program>();
  const walk = (command: Program, path: string) => {
    for (const inner of command.commands) {
      const name = `${path} ${inner.name()}`.trim();
      if (inner.commands.length === 0) found.set(name, inner);
      walk(inner, name);
    }
  };
  walk(buildProgram(fakeTerminal(), () => {}), "");
  return found;
}

/** Every option of every command. */
export function allOptions(): ReadonlySet<string> {
  const own = ["--help", "--version"];
  return new Set([...own, ...[...allCommands().values()].flatMap(({ options }) => options.map(({ long }) => long!))]);
}

/** Parses `args` without doing anything. Returns the parser's complaint, undefined where it has none. */
export async function complaint(args: readonly string[]): Promise<string | undefined> {
  const terminal = fakeTerminal();
  const program = buildProgram(terminal, () => {});
  const silence = (command: Program) => {
    if (command.commands.length === 0) command.action(() => {});
    command.commands.forEach(silence);
  };
  silence(program);
  const names = program.commands.map((command) => command.name());
  const words = commandFirst(args, names);
  if (words[0] !== undefined && !words[0].startsWith("-") && !names.includes(words[0])) return `no command ${words[0]}`;
  try {
    await program.parseAsync([...words], { from: "user" });
    return undefined;
  } catch (thrown) {
    const { exitCode, message } = thrown as { exitCode?: number; message: string };
    return exitCode === 0 ? undefined : terminal.stderr || message;
  }
}

/** The examples at the end of a command's usage, without their remarks and what they are piped into. */
export function usageExamples(command: Program): string[] {
  let text = "";
  command.configureOutput({ writeOut: (part) => void (text += part) });
  command.outputHelp();
  const at = text.indexOf("\nExamples:\n");
  if (at === -1) return [];
  return text.slice(at).split("\n").filter((line) => line.startsWith("  tidemark")).map((line) =>
    line.split("  # ")[0]!.split(/ [|>] /)[0]!.trim()
  );
}
