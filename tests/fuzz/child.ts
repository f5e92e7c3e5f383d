/**
 * Feeds one target, in a process of its own: `deno run -A child.ts TARGET FIRST COUNT`. Says on standard output how far it is,
 * and on a find which input it was; whoever started it sees a hang and a process that ran out of memory.
 */
import { TidemarkError } from "../../pipeline/errors.ts";
import { mutated, randomOf } from "./mutation.ts";
import { TARGETS } from "./targets.ts";

const [name, first, count] = [Deno.args[0]!, parseInt(Deno.args[1]!, 10), parseInt(Deno.args[2]!, 10)];
const target = TARGETS.find((item) => item.name === name)!;
const seeds = await target.seeds();
const say = (line: string) => Deno.stdout.writeSync(new TextEncoder().encode(`${line}\n`));

/** Errors thrown where nobody waits for them end a process: they are finds, too. */
let underWay = first;
addEventListener("unhandledrejection", (event) => {
  say(`FOUND ${underWay} unhandled ${String((event.reason as Error)?.stack ?? event.reason).replaceAll("\n", " | ")}`);
});

let said = 0;
for (let i = first; i < first + count; i++) {
  underWay = i;
  const now = performance.now();
  if (now - said > 100) {
    say(`AT ${i} ${Deno.memoryUsage().rss}`);
    said = now;
  }
  const bytes = mutated(randomOf(i + 1), seeds);
  try {
    await target.run(bytes);
  } catch (thrown) {
    if (thrown instanceof TidemarkError && thrown.code !== "unexpected") continue;
    if (target.throws?.(thrown) === true) continue;
    say(`FOUND ${i} ${String((thrown as Error)?.stack ?? thrown).replaceAll("\n", " | ").slice(0, 2000)}`);
  }
}
say(`DONE ${first + count} ${Deno.memoryUsage().rss}`);
