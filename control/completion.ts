/** Scripts with which a shell completes commands, options and their values: made from the command line itself. */
import type { Command, Option } from "commander";

export type Shell = "bash" | "zsh" | "fish";

interface Place {
  /** Such as `backup list`; empty for the program itself. */
  readonly path: string;
  readonly commands: readonly { readonly name: string; readonly description: string }[];
  readonly options: readonly Option[];
  /** What its arguments can be, where that is known. */
  readonly words: readonly string[];
}

export function completionScript(shell: Shell, program: Command): string {
  const places = placesOf(program, "");
  // `run` is what is done where no command is named.
  const run = places.find(({ path }) => path === "run");
  const all = places.map((place) => place.path === "" ? { ...place, options: run?.options ?? [] } : place);
  return { bash, zsh, fish }[shell](all);
}

function placesOf(command: Command, path: string): Place[] {
  const own: Place = {
    path,
    commands: command.commands.map((one) => ({ name: one.name(), description: one.description() })),
    words: command.registeredArguments.flatMap(({ argChoices }) => argChoices ?? []),
    options: command.options.filter(({ hidden, long }) => !hidden && long !== "--version"),
  };
  return [own, ...command.commands.flatMap((one) => placesOf(one, `${path} ${one.name()}`.trim()))];
}

/** What follows an option: words to choose from, a file, or something that nobody can guess. */
function valuesOf(option: Option): readonly string[] | "file" | "text" | undefined {
  if (!option.required && !option.optional) return undefined;
  if (option.argChoices !== undefined) return option.argChoices;
  return /<(file|place|folder)>/.test(option.flags) ? "file" : "text";
}

const flagsOf = ({ short, long }: Option): string[] => [short, long].filter((flag) => flag !== undefined);

/** Options of all places by their flag; the same flag takes the same everywhere. */
function valueCases(
  places: readonly Place[],
): { readonly flags: string; readonly values: readonly string[] | "file" | "text" }[] {
  const known = new Map<string, readonly string[] | "file" | "text">();
  for (const option of places.flatMap(({ options }) => options)) {
    const values = valuesOf(option);
    if (values !== undefined) flagsOf(option).forEach((flag) => known.set(flag, values));
  }
  const text = (values: readonly string[] | "file" | "text") => typeof values === "string" ? values : values.join(" ");
  return [...Map.groupBy(known, ([, values]) => text(values)).values()]
    .map((same) => ({ flags: same.map(([flag]) => flag).join("|"), values: same[0]![1] }));
}

/** A case that walks down into a command, for bash and zsh. */
function walkCase(places: readonly Place[]): string {
  const steps = places.filter(({ path }) => path !== "").map(({ path }) => `" ${path}"`).join("|");
  return `case " \${place:+$place }$word" in ${steps}) place="\${place:+$place }$word" ;; esac`;
}

function wordCases(places: readonly Place[], say: (words: readonly string[]) => string): string[] {
  return places.map(({ path, commands, words, options }) =>
    `    "${path}") ${say([...commands.map(({ name }) => name), ...words, ...options.flatMap(flagsOf), "--help"])} ;;`
  );
}

function bash(places: readonly Place[]): string {
  return [
    "# tidemark completion bash > /etc/bash_completion.d/tidemark",
    "_tidemark() {",
    '  local cur="${COMP_WORDS[COMP_CWORD]}" before="${COMP_WORDS[COMP_CWORD-1]}" place="" word words',
    '  for word in "${COMP_WORDS[@]:1:COMP_CWORD-1}"; do',
    `    ${walkCase(places)}`,
    "  done",
    "  COMPREPLY=()",
    '  case "$before" in',
    ...valueCases(places).map(({ flags, values }) => {
      const reply = values === "file"
        ? 'compopt -o filenames 2>/dev/null; COMPREPLY=($(compgen -f -- "$cur")); '
        : values === "text"
        ? ""
        : `COMPREPLY=($(compgen -W "${values.join(" ")}" -- "$cur")); `;
      return `    ${flags}) ${reply}return ;;`;
    }),
    "  esac",
    '  case "$place" in',
    ...wordCases(places, (words) => `words="${words.join(" ")}"`),
    "  esac",
    '  COMPREPLY=($(compgen -W "$words" -- "$cur"))',
    "}",
    "complete -F _tidemark tidemark",
    "",
  ].join("\n");
}

function zsh(places: readonly Place[]): string {
  return [
    "#compdef tidemark",
    '# tidemark completion zsh > "${fpath[1]}/_tidemark"',
    "_tidemark() {",
    '  local place="" word',
    "  for word in ${words[2,CURRENT-1]}; do",
    `    ${walkCase(places)}`,
    "  done",
    '  case "${words[CURRENT-1]}" in',
    ...valueCases(places).map(({ flags, values }) => {
      const reply = values === "file" ? "_files; " : values === "text" ? "" : `compadd -- ${values.join(" ")}; `;
      return `    ${flags}) ${reply}return ;;`;
    }),
    "  esac",
    '  case "$place" in',
    ...wordCases(places, (words) => `compadd -- ${words.join(" ")}`),
    "  esac",
    "}",
    "compdef _tidemark tidemark",
    "",
  ].join("\n");
}

function fish(places: readonly Place[]): string {
  const quoted = (text: string) => `'${text.replaceAll("\\", "\\\\").replaceAll("'", "\\'")}'`;
  const groups = places.filter(({ path, commands }) => path !== "" && commands.length > 0).map(({ path }) => path);
  const within = ({ path, commands }: Place) => {
    const seen = path.split(" ").filter((word) => word !== "").map((word) => `__fish_seen_subcommand_from ${word}`);
    const inner = commands.map(({ name }) => name);
    // `verify` is not `backup verify`.
    const other = inner.length > 0 ? inner : path.includes(" ") ? [] : groups;
    const none = other.length === 0 ? [] : [`not __fish_seen_subcommand_from ${other.join(" ")}`];
    return quoted([...seen, ...none].join("; and "));
  };
  const lines = places.flatMap((place) => [
    ...place.commands.map(({ name, description }) =>
      `complete -c tidemark -f -n ${within(place)} -a ${name} -d ${quoted(description)}`
    ),
    ...place.words.map((word) => `complete -c tidemark -f -n ${within(place)} -a ${word}`),
    ...place.options.map((option) => {
      const values = valuesOf(option);
      const flags = flagsOf(option).map((flag) =>
        flag.startsWith("--") ? `-l ${flag.slice(2)}` : `-s ${flag.slice(1)}`
      );
      const more = values === undefined
        ? "-f"
        : values === "file"
        ? "-r -F"
        : values === "text"
        ? "-x"
        : `-x -a ${quoted(values.join(" "))}`;
      return `complete -c tidemark -n ${within(place)} ${flags.join(" ")} ${more} -d ${quoted(option.description)}`;
    }),
  ]);
  return ["# tidemark completion fish > ~/.config/fish/completions/tidemark.fish", ...lines, ""].join("\n");
}
