/** What a user reads who points the pipeline at the wrong place, or at a target that holds something already. */
import assert from "node:assert/strict";
import { assertSame } from "./comparison.ts";
import { small, withServers } from "./servers.ts";
import { type ExitReport, type SetupOptions, stackSources, TidemarkSetup } from "./tidemark_process.ts";

const PREFIX = "h9x_";

Deno.test("run fails, merges or replaces where the target holds the collection already, as on_existing says", async () => {
  await withServers(PREFIX, async ({ env, source, target }) => {
    const name = `${PREFIX}a`;
    const other = `${PREFIX}b`;
    for (const each of [name, other]) {
      await source.call("create_collection", small(each));
      await source.call("insert_generated", { name: each, start: 0, count: 50, seed: 1 });
    }
    await target.call("create_collection", small(name));
    await target.call("insert_generated", { name, start: 40, count: 30, seed: 2 });

    const run = async (on_existing: string | undefined, expected: number): Promise<ExitReport> => {
      await using setup = await TidemarkSetup.make({
        env,
        include: [`default.${PREFIX}*`],
        sink: on_existing === undefined ? {} : { on_existing },
      });
      return await setup.once(expected);
    };
    const { stderr } = await run(undefined, 11);
    assert.match(
      stderr,
      /default\.h9x_a exists on replica already \(30 rows\), so default\.h9x_a cannot be copied there/,
    );
    assert.match(stderr, /Hint: Set sinks\.replica\.on_existing to merge .* or replace/);
    assert.equal(await target.call("count", { name }), 30);
    assert.equal(await target.call("has_collection", { name: other }), false, "nothing of the others was begun");

    await run("merge", 0);
    // Its own rows 50 to 69 stay, 40 to 49 are the source's now.
    assert.equal(await target.call("count", { name }), 70);
    const expr = "id in [40, 41, 42]";
    const rows = (server: typeof source) => server.call("query_rows", { name, expr });
    assert.deepEqual(await rows(target), await rows(source));

    await run("replace", 0);
    for (const each of [name, other]) {
      await assertSame({ server: source, name: each }, { server: target, name: each });
    }
  });
});

interface Mistake {
  readonly name: string;
  readonly extra: (env: Record<string, string>) => Partial<SetupOptions>;
  readonly code: number;
  readonly words: readonly RegExp[];
}

const MISTAKES: readonly Mistake[] = [
  {
    name: "root path of the metadata",
    extra: (env) => ({ extra: { sources: stackSources(env, { meta: { root_path: "no-such-root" } }) } }),
    code: 11,
    words: [/no-such-root/, /Hint: /],
  },
  {
    name: "bucket",
    extra: (env) => ({ extra: { sources: stackSources(env, { binlogs: { bucket: "no-such-bucket" } }) } }),
    code: 11,
    words: [/no-such-bucket/, /Hint: /],
  },
  {
    name: "root path of the bucket",
    extra: (env) => ({ extra: { sources: stackSources(env, { binlogs: { root_path: "no/such/folder" } }) } }),
    code: 11,
    words: [/no\/such\/folder/, /Hint: /],
  },
  {
    name: "key of the bucket",
    extra: (env) => ({ extra: { sources: stackSources(env, { binlogs: { secret_access_key: "not-the-key" } }) } }),
    code: 12,
    words: [/sources\.binlogs|key|credential/i, /Hint: /],
  },
  {
    name: "broker",
    extra: (env) => ({ extra: { sources: stackSources(env, { log: { brokers: ["127.0.0.1:9"] } }) } }),
    code: 11,
    words: [/127\.0\.0\.1:9/, /Hint: /],
  },
  {
    name: "endpoint of etcd",
    extra: (env) => ({ extra: { sources: stackSources(env, { meta: { endpoints: ["127.0.0.1:9"] } }) } }),
    code: 11,
    words: [/127\.0\.0\.1:9/, /Hint: /],
  },
  {
    name: "address of the target",
    extra: () => ({ sink: { address: "127.0.0.1:9" } }),
    code: 11,
    words: [/127\.0\.0\.1:9/, /cannot be reached.*ends if that lasts for 30 s/, /Hint: Nothing was copied there yet/],
  },
];

Deno.test("check and run say what is wrong with an address, a path or a key, and what to do", async (test) => {
  await withServers(PREFIX, async ({ env, source, target }) => {
    const name = `${PREFIX}a`;
    await source.call("create_collection", small(name));
    await source.call("insert_generated", { name, start: 0, count: 50, seed: 1 });
    await source.call("flush", { name });
    for (const { name: what, extra, code, words } of MISTAKES) {
      await test.step(what, async () => {
        await using setup = await TidemarkSetup.make({ env, include: [`default.${PREFIX}*`], ...extra(env) });
        const check = await setup.command(["check"]);
        assert.equal(check.code, code, `check: ${check.stdout}${check.stderr}`);
        assert.match(check.stdout + check.stderr, words[0]!);
        const report = await setup.command(["run", "--once"]);
        assert.equal(report.code, code, `run: ${report.stderr}`);
        for (const word of words) assert.match(report.stderr, word);
        assert.doesNotMatch(report.stderr, /not-the-key/);
      });
    }
    assert.equal(await target.call("has_collection", { name }), false);
  });
});

Deno.test("run copies afresh what somebody dropped from the target, and never makes an empty one in its place", async () => {
  await withServers(PREFIX, async ({ env, source, target }) => {
    const [gone, anew, parts, other] = ["gone", "anew", "parts", "other"].map((word) => `${PREFIX}${word}`) as [
      string,
      string,
      string,
      string,
    ];
    const names = [gone, anew, parts, other];
    await Promise.all(names.map(async (name) => {
      await source.call("create_collection", small(name, { partitions: ["p1"] }));
      await source.call("insert_generated", { name, start: 0, count: 50, seed: 1 });
      await source.call("insert_generated", { name, start: 50, count: 30, seed: 1, partition: "p1" });
    }));
    await using setup = await TidemarkSetup.make({
      env,
      include: [`default.${PREFIX}*`],
      sink: { on_existing: "merge" },
    });
    await setup.once();
    await target.call("drop_collection", { name: gone });
    await target.call("drop_collection", { name: anew });
    await target.call("create_collection", small(anew, { partitions: ["p1"] }));
    await target.call("release_collection", { name: parts });
    await target.call("drop_partition", { name: parts, partition: "p1" });
    await Promise.all(names.map((name) => source.call("insert_generated", { name, start: 100, count: 10, seed: 1 })));

    const { stderr } = await setup.once(3);
    assert.match(stderr, /default\.h9x_gone is gone from replica, where it had been made; default\.h9x_gone is copied/);
    assert.match(stderr, /default\.h9x_anew on replica is another one than had been made there; default\.h9x_anew is/);
    assert.match(stderr, /Partition p1 of default\.h9x_parts is gone from replica, where it had been made/);
    assert.match(stderr, /Drop default\.h9x_parts as well and start the run again/);
    for (const name of [gone, anew, other]) await assertSame({ server: source, name }, { server: target, name });

    await target.call("drop_collection", { name: parts });
    await setup.once();
    for (const name of names) await assertSame({ server: source, name }, { server: target, name });
  });
});
