/** The command line of `deno task test`. */
import { STACK_SUITES, testFiles } from "./suites.ts";

export type StackSuite = typeof STACK_SUITES[number];

export const USAGE = `Runs every test: the gate, then the suites against real servers.

  deno task test [--unit] [--filter TEXT] [--keep] [--suite ${STACK_SUITES.join("|")}] [--stacks N]
  deno task test FILE|FOLDER... [--filter TEXT] [--keep] [--stacks N]

  FILE, FOLDER     only these tests, without the gate: installs and starts what they need, and shows what they print
  --unit           only what needs no servers
  --filter TEXT    only tests whose name contains TEXT (or matches /regex/)
  --suite NAME     only this suite, without the gate
  --stacks N       sets of servers side by side, each with one test file at a time; beside them runs one file of those that
                   start what they need. Default: three for two cores, at most 4; one for two cores on a machine that is
                   busy with other things; one for FILE and FOLDER
  --keep           leave the servers running, and print how to use them

  deno task test tests/crash/crash_test.ts          one file, on servers of its own
  deno task test --keep tests/crash/crash_test.ts   and again, on the same servers, by the command that this prints
`;

export interface Options {
  readonly unit: boolean;
  readonly keep: boolean;
  readonly filter: string | undefined;
  readonly suites: readonly StackSuite[];
  /** Test files that were named; undefined: all of the suites. */
  readonly files: readonly string[] | undefined;
  readonly gate: boolean;
  /** undefined: as many as are of use here. */
  readonly stacks: number | undefined;
}

/** The options, or what is wrong with the arguments. */
export function parseArguments(args: readonly string[]): Options | string {
  let [unit, keep, gate] = [false, false, true];
  let filter: string | undefined;
  let stacks: number | undefined;
  let suites: readonly StackSuite[] = STACK_SUITES;
  let files: string[] | undefined;
  const rest = [...args];
  for (let arg = rest.shift(); arg !== undefined; arg = rest.shift()) {
    if (arg === "--unit") unit = true;
    else if (arg === "--keep") keep = true;
    else if (arg === "--filter" && rest.length > 0) filter = rest.shift();
    else if (arg === "--stacks" && /^[1-9]$/.test(rest[0] ?? "")) stacks = parseInt(rest.shift()!, 10);
    else if (arg === "--suite" && STACK_SUITES.some((suite) => suite === rest[0])) {
      suites = [rest.shift() as StackSuite];
      gate = false;
    } else if (!arg.startsWith("-")) {
      const found = testFiles(arg.replace(/^\.\//, "").replace(/\/$/, ""));
      if (found.length === 0) return `${arg} is no test file, and no folder with one: expected tests/.../NAME_test.ts`;
      files = [...files ?? [], ...found];
      gate = false;
    } else return `Unknown argument ${arg}`;
  }
  return { unit, keep, filter, suites, files, gate, stacks };
}
