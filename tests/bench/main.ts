/**
 * The figures of docs/figures.md, as Markdown on standard output:
 *
 *     [MILVUS_CDC=<binary>] deno task bench [figure...] [--small] [arguments of a figure]
 *
 * Starts one stack for all of them, unless `TIDEMARK_STACK_ENV` names one. Without names all are made, in this order;
 * each file can be run alone as well. `--small` proves in a few minutes that they run; its figures are worthless.
 */
import { startStack } from "../stack/mod.ts";
import { note } from "./rig.ts";

const FIGURES = ["catch_up", "lag", "base", "follow_memory", "many_collections", "stalled_target", "backup", "restore"];

/** Not among all of them, and without the servers that the others share. */
const WITHOUT_SERVERS = [
  "fuzz",
  "storage",
  "generations",
  "queues",
  "files_step",
  "server",
  "encryption",
  "stores",
];

async function exists(name: string): Promise<boolean> {
  return await Deno.stat(fileOf(name)).then(() => true, () => false);
}

function fileOf(name: string): string {
  return `${import.meta.dirname}/${name}.ts`;
}

async function make(name: string, args: readonly string[], env: Record<string, string>): Promise<boolean> {
  note(name);
  const { success } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", fileOf(name), ...args],
    env,
    stdin: "null",
    stdout: "inherit",
    stderr: "inherit",
  }).spawn().status;
  return success;
}

const USAGE = `deno task bench [figure...] [--small] [arguments of a figure]

Figures, all of them by default, which takes most of an hour: ${
  FIGURES.join(", ")
}.\nBy name only: fuzz, ten minutes for each decoder of foreign bytes; generations; queues, files_step, server and stores, on servers of their own.`;

async function main(args: readonly string[]): Promise<number> {
  if (args.some((arg) => arg === "--help" || arg === "-h")) {
    console.log(USAGE);
    return 0;
  }
  const first = args.findIndex((arg) => arg.startsWith("--"));
  const names = first < 0 ? args : args.slice(0, first);
  const rest = first < 0 ? [] : args.slice(first);
  for (const name of names) {
    if (await exists(name)) continue;
    console.error(`There is no figure ${name}: expected ${FIGURES.join(", ")}`);
    return 2;
  }
  const wanted: string[] = [];
  for (const name of names.length > 0 ? names : FIGURES) if (await exists(name)) wanted.push(name);

  let failed = 0;
  const all = async (envFile: string) => {
    for (const name of wanted) if (!await make(name, rest, { TIDEMARK_STACK_ENV: envFile })) failed++;
  };
  const given = wanted.every((name) => WITHOUT_SERVERS.includes(name)) ? "none" : Deno.env.get("TIDEMARK_STACK_ENV");
  if (given) {
    await all(given);
  } else {
    await using stack = await startStack("full", { without: ["lite"], isMeasured: true, log: note });
    await all(stack.envFile);
  }
  return failed === 0 ? 0 : 1;
}

if (import.meta.main) Deno.exit(await main(Deno.args));
