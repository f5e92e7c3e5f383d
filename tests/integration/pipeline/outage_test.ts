/** Servers that a following run needs are frozen, killed and started again: it waits, says for whom, and loses nothing. */
import assert from "node:assert/strict";
import { attachStack } from "../../stack/mod.ts";
import type { ComponentName } from "../../stack/mod.ts";
import { assertSame } from "./comparison.ts";
import { untilSame, untilStatus, untilTail, waitsFor, writeUntilStopped } from "./following.ts";
import { type Servers, small, withServers } from "./servers.ts";
import { TidemarkSetup } from "./tidemark_process.ts";

const PREFIX = "ou_";

/** Follows a collection that is written to while `outage` happens; afterwards both sides must be equal. */
async function survives(
  name: string,
  outage: (waits: (component: string) => Promise<string>, servers: Servers) => Promise<void>,
  ...others: string[]
): Promise<void> {
  await withServers(PREFIX, async (servers) => {
    await servers.source.call("create_collection", small(name, { shards: 2 }));
    await servers.source.call("insert_generated", { name, start: 0, count: 2000 });
    await using setup = await TidemarkSetup.make({ env: servers.env, include: [`default.${PREFIX}*`] });
    const run = setup.start(["run"]);
    await untilTail(setup, run);
    const writer = writeUntilStopped(servers, name);
    try {
      await outage(async (component) => {
        const status = await untilStatus(
          setup,
          run,
          `the status says that it waits for ${component}`,
          (status) => status.phase === "waiting" && waitsFor(status, component) !== undefined,
        );
        return waitsFor(status, component)!;
      }, servers);
      await untilStatus(setup, run, "it follows the log again", (status) => status.phase === "tail");
    } finally {
      await writer.stop();
    }
    for (const each of [name, ...others]) await untilSame(servers, each);
    const { code, stderr } = await run.stop();
    assert.equal(code, 143, stderr);
  });
}

/** Takes a component away until `during` is done; it runs again in the end, whatever happens. */
async function without(name: ComponentName, how: "kill" | "pause", during: () => Promise<void>): Promise<void> {
  const stack = await attachStack();
  if (how === "kill") await stack.kill(name);
  else stack.pause(name);
  try {
    await during();
  } finally {
    if (how === "kill") await stack.start(name);
    else stack.resume(name);
  }
}

Deno.test("run waits for a target that is frozen, and goes on", async () => {
  await survives(`${PREFIX}frozen`, async (waits) => {
    await without("target", "pause", async () => {
      assert.match(await waits("replica"), /no answer/);
    });
  });
});

Deno.test("run waits for a target that was killed, and goes on when it is back", async () => {
  await survives(`${PREFIX}killed`, async (waits) => {
    await without("target", "kill", async () => {
      assert.match(await waits("replica"), /127\.0\.0\.1/);
    });
  });
});

Deno.test("run waits for Kafka and reads on where it was", async () => {
  await survives(`${PREFIX}kafka`, async (waits) => {
    await without("kafka", "kill", async () => {
      // Whichever channel missed it first: one of the data, or the one that announces DDL.
      assert.match(await waits("sources.log"), /by-dev-src-(?:rootcoord-dml_\d+|replicate-msg): \S/);
    });
  });
});

Deno.test("run waits for etcd; what was created meanwhile is carried", async () => {
  await survives(`${PREFIX}etcd`, async (waits, { source }) => {
    await without("etcd", "kill", async () => {
      assert.match(await waits("sources.meta"), /etcd at/);
    });
    await source.call("wait_ready", {});
    await source.call("create_collection", small(`${PREFIX}late`));
    await source.call("insert_generated", { name: `${PREFIX}late`, start: 0, count: 100 });
  }, `${PREFIX}late`);
});

Deno.test("run waits in the middle of a base copy for the bucket, and copies on", async () => {
  const name = `${PREFIX}bucket`;
  await withServers(PREFIX, async (servers) => {
    const { source, target, env } = servers;
    await source.call("create_collection", {
      ...small(name),
      fields: [{ name: "id", type: "Int64", primary: true }, { name: "vec", type: "FloatVector", dim: 128 }],
    });
    await source.call("insert_generated", { name, start: 0, count: 12_000 });
    await source.call("flush", { name });
    await using setup = await TidemarkSetup.make({
      env,
      include: [`default.${PREFIX}*`],
      // Slow enough to be in the middle when the bucket goes.
      extra: { limits: { bandwidth: "1MiB" } },
    });
    const run = setup.start(["run", "--once"]);
    await untilStatus(setup, run, "the base copy is under way", (status) => status.phase === "base");
    await without("s3", "kill", async () => {
      const status = await untilStatus(
        setup,
        run,
        "the status says that it waits for the bucket",
        (status) => waitsFor(status, "sources.binlogs") !== undefined,
      );
      assert.match(waitsFor(status, "sources.binlogs")!, new RegExp(new URL(env.S3_ENDPOINT!).host));
    });
    const { code, stderr } = await run.ends();
    assert.equal(code, 0, stderr);
    await assertSame({ server: source, name }, { server: target, name });
  });
});
