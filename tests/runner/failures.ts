/** What a run says of its failed tests at its end, where it is read when the middle of a long output is cut out. */

import type { Counts } from "./counts.ts";
import type { StepOutcome } from "./step.ts";

/** Lines of an error that are repeated; the whole of it stands where the step ended. */
const ERROR_LINES = 6;
const LINE_LENGTH = 300;

/**
 * The failed tests of a `deno test` run: for each its name with place, and the first lines of its error, indented. Of a
 * step without such a list (it crashed, hung, or is no test run) the last lines that it printed.
 */
export function readFailures(output: string): string[] {
  // deno-lint-ignore no-control-regex
  const plain = output.replace(/\x1b\[[0-9;]*m/g, "");
  const errors = plain.lastIndexOf("\n ERRORS \n");
  const failures = plain.indexOf("\n FAILURES \n", errors);
  if (errors === -1 || failures === -1) return lines(plain.trimEnd()).slice(-ERROR_LINES).map(indented);
  const details = lines(plain.slice(errors, failures));
  const found: string[] = [];
  for (const name of lines(plain.slice(failures + " FAILURES \n".length))) {
    if (/^FAILED \| /.test(name)) break;
    const begin = details.indexOf(name);
    // The code that threw and the stack of calls are in the whole output.
    const error = begin === -1 ? [] : details.slice(begin + 1, begin + 1 + ERROR_LINES);
    const end = error.findIndex((line, index) => index > 0 && / => \S+:\d+:\d+$|^\s+at |^\s+\^$/.test(line));
    found.push(shortened(name), ...(end === -1 ? error : error.slice(0, end)).map(indented));
  }
  return found;
}

/** A step that failed. */
export interface Failure {
  /** Of the step, or its test file. */
  readonly name: string;
  /** What was counted of it. */
  readonly counts: Counts;
  readonly output: string;
  /** Why the step failed. */
  readonly reason: string;
}

/** What has failed since the run began. */
export class Failures {
  readonly #noted: Failure[] = [];

  note(name: string, counts: Counts, { output, reason = "" }: Pick<StepOutcome, "output" | "reason">): void {
    this.#noted.push({ name, counts, output, reason });
  }

  /** All of them, which are then no longer noted. */
  take(): Failure[] {
    return this.#noted.splice(0);
  }

  /** Short enough to be read at a glance; nothing when all passed. */
  summary(): string[] {
    return this.#noted.flatMap((failure) => summaryOf("FAILED", failure));
  }
}

/** One failure in few lines. */
export function summaryOf(mark: string, { name, output, reason }: Failure): string[] {
  return [`${mark} ${name} ${reason}`, ...readFailures(output).map(indented)];
}

function lines(text: string): string[] {
  return text.split("\n").filter((line) => line.trim() !== "");
}

function indented(line: string): string {
  return `  ${shortened(line)}`;
}

function shortened(line: string): string {
  return line.length > LINE_LENGTH ? `${line.slice(0, LINE_LENGTH - 3)}...` : line;
}
