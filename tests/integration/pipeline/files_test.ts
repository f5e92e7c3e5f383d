/**
 * A copy without a queue: random work on the source, the run killed and started again, and both sides equal once it has flushed,
 * or when a run up to a moment behind that ends.
 */
import assert from "node:assert/strict";
import { eventually } from "../../stack/eventually.ts";
import { assertSame } from "./comparison.ts";
import { RandomWorkload, seeded } from "./random_workload.ts";
import { cleanServers, type Servers } from "./servers.ts";
import { stackSources, TidemarkSetup } from "./tidemark_process.ts";

const PREFIX = "fi_";
const ROUNDS = 2;
const STEPS = 25;

async function digests({ source, target }: Servers, name: string): Promise<boolean> {
  const [a, b] = await Promise.all([source, target].map((server) => server.call("digest", { name }).catch(() => null)));
  return a !== null && JSON.stringify(a) === JSON.stringify(b);
}

Deno.test("run without a queue keeps both sides equal at its cuts, under random work, flushes, compactions and kills", async () => {
  await using servers = await cleanServers(PREFIX);
  const { env, source, target } = servers;
  const work = new RandomWorkload(source, PREFIX, 7);
  const random = seeded(1007);
  const { log: _log, ...sources } = stackSources(env);
  await using setup = await TidemarkSetup.make({
    env,
    include: [`default.${PREFIX}*`],
    extra: {
      sources: {
        ...sources,
        log: { type: "files", poll: "1s", flush: { address: env.SOURCE_URI, every: "10s" } },
      },
    },
  });
  await work.begin(2);
  let run = setup.start(["run"]);
  for (let round = 0; round < ROUNDS; round++) {
    for (let i = 0; i < STEPS; i++) {
      await work.step();
      if (random() < 0.06) {
        await run.kill();
        run = setup.start(["run"]);
      }
    }
    for (const name of work.names) await source.call("flush", { name });
    if (round === ROUNDS - 1) break;
    for (const name of work.names) {
      // Within a minute the source's checkpoints pass the flush; the comparison says which rows differ.
      await eventually(`${name} is as the source is`, () => digests(servers, name), run.waiting).catch(() => {});
      await assertSame({ server: source, name }, { server: target, name });
    }
  }
  const { code, stderr } = await run.stop();
  // By SIGTERM.
  assert.equal(code, 143, stderr);
  const ended = await setup.start(["run", "--until", new Date().toISOString()]).ends();
  assert.equal(ended.code, 0, ended.stderr);
  for (const name of work.names) await assertSame({ server: source, name }, { server: target, name });
  const verified = await setup.command(["verify"]);
  assert.equal(verified.code, 0, verified.stdout + verified.stderr);
  assert.match(verified.stdout, /^Equal$/m);
});
