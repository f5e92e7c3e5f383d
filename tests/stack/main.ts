/** The command `deno task stack`: see {@link USAGE}. */
import { attachStack } from "./control.ts";
import { aliveComponents, endStack, listStacks, runRoot } from "./run_folder.ts";
import { type Profile, PROFILES } from "./profile.ts";
import { startStack } from "./start.ts";
import { StackError } from "./stack_error.ts";

const USAGE = `Real servers for tests and for trying things out.

  deno task stack up   [--profile full|demo] [--name NAME]   install what is missing, start, keep running
  deno task stack down [--name NAME | --all]                 stop everything that was started, remove its data
  deno task stack status                                     what runs, and where
  deno task stack env  [--name NAME]                         the addresses, as KEY=VALUE lines

Ports are found by themselves; BASE_PORT=23000 takes 40 in a row from there. Installed software is kept in
TIDEMARK_CACHE (default ~/.cache/tidemark), run folders are below TIDEMARK_STACKS (default: the temporary folder).

  eval "export TIDEMARK_STACK_ENV=$(deno task -q stack up)"  && deno test -A tests/integration/
`;

interface Arguments {
  command: string;
  profile: Profile;
  name: string;
  all: boolean;
}

function parse(args: readonly string[]): Arguments {
  const parsed: Arguments = { command: "", profile: "full", name: "default", all: false };
  const rest = [...args];
  const value = (flag: string) => {
    const next = rest.shift();
    if (next === undefined) throw new StackError(`${flag} needs a value\n\n${USAGE}`);
    return next;
  };
  for (let arg = rest.shift(); arg !== undefined; arg = rest.shift()) {
    if (arg === "--name") parsed.name = value(arg);
    else if (arg === "--all") parsed.all = true;
    else if (arg === "--profile") {
      const name = value(arg);
      const profile = PROFILES.find((profile) => profile === name);
      if (profile === undefined) throw new StackError(`There is no profile ${name}: expected ${PROFILES.join(" or ")}`);
      parsed.profile = profile;
    } else if (parsed.command === "" && !arg.startsWith("-")) parsed.command = arg;
    else throw new StackError(`Unknown argument ${arg}\n\n${USAGE}`);
  }
  return parsed;
}

async function up(args: Arguments): Promise<void> {
  const running = (await listStacks()).find(({ record }) => record.name === args.name);
  if (running !== undefined && aliveComponents(running.dir, running.record).length > 0) {
    const stack = await attachStack(`${running.dir}/env`);
    for (const { name } of running.record.components) await stack.start(name);
    console.log(stack.envFile);
    return;
  }
  const interrupted = new AbortController();
  const stop = () => interrupted.abort(new StackError("Interrupted: what was started is stopped"));
  for (const signal of ["SIGINT", "SIGTERM"] as const) Deno.addSignalListener(signal, stop);
  const start = performance.now();
  const basePort = Deno.env.get("BASE_PORT");
  const stack = await startStack(args.profile, {
    name: args.name,
    keep: true,
    signal: interrupted.signal,
    log: (line) => console.error(line),
    ...(basePort ? { basePort: parseInt(basePort, 10) } : {}),
  });
  console.error(
    `The stack ${stack.name} is up after ${((performance.now() - start) / 1000).toFixed(1)} s. Its env file:`,
  );
  console.log(stack.envFile);
}

async function down(args: Arguments): Promise<void> {
  const stacks = (await listStacks()).filter(({ record }) => args.all || record.name === args.name);
  if (stacks.length === 0) console.error(args.all ? "No stack runs" : `No stack ${args.name} runs`);
  for (const { dir, record } of stacks) {
    await endStack(dir);
    console.error(`The stack ${record.name} is down`);
  }
}

async function status(): Promise<void> {
  const stacks = await listStacks();
  if (stacks.length === 0) console.log(`No stack in ${runRoot()}`);
  for (const { dir, record } of stacks) {
    const alive = new Set<string>(aliveComponents(dir, record));
    const parts = record.components.map(({ name }) => `${name} ${alive.has(name) ? "runs" : "stopped"}`).join(", ");
    console.log(`${record.name} (${record.profile}, ports from ${record.basePort}, ${dir}): ${parts}`);
  }
}

async function env(args: Arguments): Promise<void> {
  const found = (await listStacks()).find(({ record }) => record.name === args.name);
  if (found === undefined) throw new StackError(`No stack ${args.name} runs. Start it with: deno task stack up`);
  console.log((await Deno.readTextFile(`${found.dir}/env`)).trimEnd());
}

async function main(args: readonly string[]): Promise<number> {
  try {
    const parsed = parse(args);
    const commands: Record<string, (args: Arguments) => Promise<void>> = { up, down, status, env };
    const command = commands[parsed.command];
    if (command === undefined) {
      console.error(USAGE);
      return parsed.command === "" ? 0 : 2;
    }
    await command(parsed);
    return 0;
  } catch (thrown) {
    if (!(thrown instanceof StackError)) throw thrown;
    console.error(thrown.message);
    return 1;
  }
}

if (import.meta.main) Deno.exit(await main(Deno.args));
