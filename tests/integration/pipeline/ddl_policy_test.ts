/** What each `ddl.policy` does with changes after the base, and what its user reads. */
import assert from "node:assert/strict";
import { eventually } from "../../stack/eventually.ts";
import { type Servers, small, withServers } from "./servers.ts";
import { type ExitReport, TidemarkSetup } from "./tidemark_process.ts";

const PREFIX = "h9p_";
const [A, B, C, D] = ["a", "b", "c", "d"].map((letter) => `${PREFIX}${letter}`) as [string, string, string, string];
const EXTRA = `${PREFIX}db`;

/** Everything that a test asks of the target. */
interface Outcome {
  readonly collections: readonly string[];
  readonly databases: readonly string[];
  readonly partitions: readonly string[];
  readonly aliases: readonly string[];
  /** Rows of A and of B. */
  readonly rows: readonly [number, number];
}

/**
 * A copy of A, B and D, then while the pipeline is stopped: A gets an alias, a partition with 5 rows and 5 other rows, B
 * only 7 rows, C is made with 3 rows, D is dropped, and a database is made. Then one run with the policy.
 */
async function underPolicy(
  ddl: Record<string, unknown>,
  { env, source, target }: Servers,
  test: (report: ExitReport, outcome: Outcome, again: (ddl: Record<string, unknown>) => Promise<ExitReport>) => unknown,
): Promise<void> {
  for (const server of [source, target]) await server.call("truncate_names", { prefix: PREFIX });
  for (const name of [A, B, D]) {
    await source.call("create_collection", small(name));
    await source.call("insert_generated", { name, start: 0, count: 10, seed: 1 });
  }
  const make = (ddl: Record<string, unknown>) =>
    TidemarkSetup.make({
      env,
      include: [],
      transforms: { select: { include: [`default.${PREFIX}*`, `${PREFIX}*.*`] }, ddl },
    });
  await using setup = await make(ddl);
  await setup.once();
  await source.call("create_alias", { name: A, alias: `${PREFIX}alias` });
  await source.call("create_partition", { name: A, partition: "p" });
  await source.call("insert_generated", { name: A, start: 100, count: 5, seed: 1, partition: "p" });
  await source.call("insert_generated", { name: A, start: 200, count: 5, seed: 1 });
  await source.call("insert_generated", { name: B, start: 100, count: 7, seed: 1 });
  await source.call("create_collection", small(C));
  await source.call("insert_generated", { name: C, start: 0, count: 3, seed: 1 });
  await source.call("drop_collection", { name: D });
  await source.call("create_database", { name: EXTRA });

  const look = async (): Promise<Outcome> => {
    const { aliases, partitions } = await target.call("describe_collection", { name: A }) as unknown as {
      aliases: string[];
      partitions: Record<string, string>;
    };
    const own = (names: unknown) => (names as string[]).filter((name) => name.startsWith(PREFIX));
    return {
      collections: own(await target.call("list_collections", {})),
      databases: own(await target.call("list_databases", {})),
      partitions: Object.keys(partitions),
      aliases,
      rows: [await target.call("count", { name: A }) as number, await target.call("count", { name: B }) as number],
    };
  };
  const report = await setup.command(["run", "--once"]);
  await test(report, await look(), async (other) => {
    const text = await Deno.readTextFile(setup.config);
    const config = JSON.parse(text);
    config.transforms.ddl = other;
    await Deno.writeTextFile(setup.config, JSON.stringify(config));
    return await setup.command(["run", "--once"]);
  });
}

const ALL: Outcome = {
  collections: [A, B, C],
  databases: [EXTRA],
  partitions: ["_default", "p"],
  aliases: [`${PREFIX}alias`],
  rows: [20, 17],
};

Deno.test("ddl.policy evolve applies every change", async () => {
  await withServers(PREFIX, (servers) =>
    underPolicy({ policy: "evolve" }, servers, (report, outcome) => {
      assert.equal(report.code, 0, report.stderr);
      assert.deepEqual(outcome, ALL);
    }));
});

Deno.test("ddl.policy exception holds what changed with the reason, the others go on, and another policy catches up", async () => {
  await withServers(
    PREFIX,
    (servers) =>
      underPolicy({ policy: "exception" }, servers, async (report, outcome, again) => {
        assert.equal(report.code, 3, report.stderr);
        for (const name of [A, C, D]) {
          assert.match(
            report.stdout + report.stderr,
            new RegExp(`blocked +default\\.${name}: .*ddl\\.policy is "exception"`),
          );
        }
        assert.deepEqual(outcome.collections, [A, B, D]);
        assert.deepEqual(outcome.databases, []);
        assert.deepEqual(outcome.aliases, []);
        assert.deepEqual(outcome.partitions, ["_default"]);
        assert.equal(outcome.rows[1], 17);
        assert.equal((await again({ policy: "evolve" })).code, 0);
        const { target } = servers;
        await eventually("everything is there", async () => await target.call("count", { name: A }) === 20);
        assert.equal(await target.call("count", { name: C }), 3);
        assert.equal(await target.call("has_collection", { name: D }), false);
      }),
  );
});

Deno.test("ddl.policy lenient applies what destroys nothing", async () => {
  await withServers(PREFIX, (servers) =>
    underPolicy({ policy: "lenient" }, servers, (report, outcome) => {
      assert.equal(report.code, 0, report.stderr);
      assert.deepEqual(outcome, { ...ALL, collections: [A, B, C, D] });
    }));
});

Deno.test("ddl.policy ignore applies no change, and the rows go on", async () => {
  await withServers(PREFIX, (servers) =>
    underPolicy({ policy: "ignore" }, servers, (report, outcome) => {
      assert.deepEqual(outcome.collections, [A, B, D]);
      assert.deepEqual(outcome.databases, []);
      assert.deepEqual(outcome.aliases, []);
      assert.deepEqual(outcome.partitions, ["_default"]);
      assert.equal(outcome.rows[1], 17);
      assert.equal(report.code, 0, report.stderr);
      assert.equal(outcome.rows[0], 15, "rows of a partition that is not made are left out");
    }));
});

Deno.test("ddl.exclude leaves kinds out under every policy", async () => {
  await withServers(PREFIX, (servers) =>
    underPolicy(
      { policy: "evolve", exclude: ["create_alias", "drop_collection"] },
      servers,
      (report, outcome) => {
        assert.equal(report.code, 0, report.stderr);
        assert.deepEqual(outcome, { ...ALL, collections: [A, B, C, D], aliases: [] });
      },
    ));
});

Deno.test("ddl.policy evolve holds a collection whose change the target refuses, try_evolve reports it, and the others go on", async () => {
  await withServers(PREFIX, async (servers) => {
    const { env, source, target } = servers;
    for (const policy of ["evolve", "try_evolve"]) {
      for (const server of [source, target]) await server.call("truncate_names", { prefix: PREFIX });
      for (const name of [A, B]) await source.call("create_collection", small(name));
      await using setup = await TidemarkSetup.make({
        env,
        include: [`default.${A}`, `default.${B}`],
        transforms: { ddl: { policy } },
      });
      await setup.once();
      // The alias that the source makes is the name of something else on the target.
      await target.call("create_collection", small(C));
      await source.call("create_alias", { name: A, alias: C });
      for (const name of [A, B]) await source.call("insert_generated", { name, start: 0, count: 10, seed: 1 });
      const report = await setup.command(["run", "--once"]);
      assert.equal(report.code, 3, report.stderr);
      const said = report.stdout + report.stderr;
      assert.match(said, new RegExp(`Create alias default\\.${C} for default\\.${A}: the target refused: .*${C}`));
      assert.match(said, policy === "evolve" ? new RegExp(`blocked +default\\.${A}`) : /refused +Create alias/);
      assert.equal(await target.call("count", { name: B }), 10);
      // A held collection may have got its rows before it was held.
      if (policy === "try_evolve") assert.equal(await target.call("count", { name: A }), 10);
      await target.call("drop_collection", { name: C });
      await setup.once();
      assert.equal(await target.call("count", { name: A }), 10);
    }
  });
});
