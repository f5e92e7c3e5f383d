/** A fault in a configuration and the place where a person finds it. */

/** A place in a configuration file; `line` and `column` count from 1. */
export interface Position {
  readonly file: string;
  readonly line: number;
  readonly column: number;
}

export interface Problem {
  readonly at: Position;
  /** Starts with a capital; says what is, what was expected, and how to mend it. */
  readonly message: string;
}

/** `file:line:col: message`, the form that editors turn into a link. */
export function formatProblem(problem: Problem): string {
  const { file, line, column } = problem.at;
  return `${file}:${line}:${column}: ${problem.message}`;
}

/** Files in the order of `files`, each from top to bottom; the same message at the same place once. */
export function sortProblems(problems: readonly Problem[], files: readonly string[]): Problem[] {
  const order = (problem: Problem) => {
    const index = files.indexOf(problem.at.file);
    return index < 0 ? files.length : index;
  };
  const seen = new Set<string>();
  return [...problems]
    .sort((a, b) => order(a) - order(b) || a.at.line - b.at.line || a.at.column - b.at.column)
    .filter((problem) => {
      const text = formatProblem(problem);
      if (seen.has(text)) return false;
      seen.add(text);
      return true;
    });
}
