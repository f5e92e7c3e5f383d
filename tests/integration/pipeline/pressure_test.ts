/** More comes than the target takes: memory stays bounded, nothing is lost. */
import assert from "node:assert/strict";
import { attachStack } from "../../stack/mod.ts";
import { eventually } from "../../stack/eventually.ts";
import { untilSame, untilStatus, untilTail, waitsFor } from "./following.ts";
import { type Servers, small, withServers } from "./servers.ts";
import { stalledFor } from "./stall.ts";
import { TidemarkSetup } from "./tidemark_process.ts";

const PREFIX = "pr_";
const MIB = 1024 ** 2;
const ROWS = 24_000;

function residentBytes(pid: number): number {
  return Number(/^VmRSS:\s+(\d+) kB$/m.exec(Deno.readTextFileSync(`/proc/${pid}/status`))![1]) * 1024;
}

Deno.test("run with a backlog of 100 MB and a frozen target stays within its limits and catches up afterwards", async () => {
  const name = `${PREFIX}stalled`;
  await withServers(PREFIX, async (servers) => {
    const { source, target, env } = servers;
    const fields = [{ name: "id", type: "Int64", primary: true }, { name: "vec", type: "FloatVector", dim: 1024 }];
    await source.call("create_collection", { ...small(name, { shards: 2 }), fields });
    await using setup = await TidemarkSetup.make({
      env,
      include: [`default.${name}`],
      extra: { limits: { in_flight: "16MiB" } },
    });
    const run = setup.start(["run"]);
    await untilTail(setup, run);
    // It stands still while the backlog is made, then meets it with the target away.
    Deno.kill(run.pid, "SIGSTOP");
    await source.call("insert_generated", { name, start: 0, count: ROWS, batch: 1000, plain: true });
    const stack = await attachStack();
    stack.pause("target");
    let stall;
    try {
      Deno.kill(run.pid, "SIGCONT");
      const said = untilStatus(
        setup,
        run,
        "the status says that it waits for the target",
        (status) => status.phase === "waiting" && /no answer/.test(waitsFor(status, "replica") ?? ""),
      );
      stall = await stalledFor(12, setup, () => residentBytes(run.pid));
      await said;
    } finally {
      stack.resume("target");
    }
    assert.equal(stall.limit, 16 * MIB);
    assert.ok(stall.inFlight > 0, "something is in flight");
    // One fetch of each reader may be beyond the limit.
    assert.ok(stall.inFlight <= 24 * MIB, `${stall.inFlight} bytes in flight`);
    assert.ok(stall.rss < 512 * MIB, `${stall.rss / MIB} MiB resident`);
    await untilStatus(
      setup,
      run,
      "it has caught up",
      ({ collections }) => Number(collections[0]?.inserted ?? 0) === ROWS,
    );
    const [a, b] = await Promise.all([source, target].map((server) => server.call("digest", { name })));
    assert.deepEqual(b, a);
    assert.equal((await run.stop()).code, 143);
  });
});

/** The limits of a Milvus that has just started come into force some seconds later. */
async function untilLimited({ target }: Servers, fields: readonly Record<string, unknown>[]): Promise<void> {
  const name = `${PREFIX}probe`;
  await target.call("create_collection", { ...small(name), fields });
  await eventually("the target limits its rate", async () => {
    const began = performance.now();
    // 0.25 MB at 0.1 MB/s: the client is refused, and tries again for as long as it likes.
    const refused = await target.call("insert_generated", { name, start: 0, count: 500 }).then(() => false, () => true);
    return refused || performance.now() - began > 1000;
  });
}

Deno.test("run goes through a target that limits its rate, and says why it is slow", async () => {
  const name = `${PREFIX}limited`;
  const stack = await attachStack();
  const limit = async (enabled: boolean) => {
    await stack.configure("target", {
      "quotaAndLimits.enabled": enabled,
      "quotaAndLimits.dml.enabled": enabled,
      "quotaAndLimits.dml.insertRate.max": enabled ? 0.1 : -1,
      "quotaAndLimits.dml.upsertRate.max": enabled ? 0.1 : -1,
    });
    await stack.stop("target", { graceMs: 20_000 });
    await stack.start("target");
  };
  await limit(true);
  try {
    await withServers(PREFIX, async (servers) => {
      const { source, env } = servers;
      const fields = [{ name: "id", type: "Int64", primary: true }, { name: "vec", type: "FloatVector", dim: 128 }];
      await untilLimited(servers, fields);
      await source.call("create_collection", { ...small(name), fields });
      await using setup = await TidemarkSetup.make({
        env,
        include: [`default.${name}`],
        extra: { limits: { batch_size: "64KiB" } },
      });
      // All of it before the run: a source that takes the rows slowly would keep the target below its limit.
      for (let start = 0; start < 2500; start += 500) {
        await source.call("insert_generated", { name, start, count: 500, batch: 100 });
        // A request has all of a tick of the source's, which come every 200 ms, and the first request is let through whatever it holds.
        await new Promise((resolve) => setTimeout(resolve, 500));
      }
      const run = setup.start(["run"]);
      const status = await untilStatus(
        setup,
        run,
        "the status tells of the limit",
        (status) => /rate|limit|quota/i.test(waitsFor(status, "replica") ?? ""),
      );
      assert.equal(status.phase, "waiting");
      await untilSame(servers, name);
      assert.equal((await run.stop()).code, 143);
    });
  } finally {
    await limit(false);
  }
});
