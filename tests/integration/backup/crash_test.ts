/**
 * The process is killed at each named phase of a backup; the next run ends with one that is whole and exact. Several runs
 * keep a backup of one source, each in a folder of its own, each killed at another phase: the source's work is done once.
 */
import assert from "node:assert/strict";
import type { PyMilvus } from "../../stack/pymilvus.ts";
import { type Servers, small, withServers } from "../pipeline/servers.ts";
import { TidemarkSetup } from "../pipeline/tidemark_process.ts";
import {
  assertRestores,
  assertWhole,
  backupNames,
  folderVault,
  listComplete,
  type Vault,
  vaultSink,
} from "./backup_pipeline.ts";

const PREFIX = "bkp_crash_";
const NAME = `${PREFIX}a`;

async function fill(source: PyMilvus): Promise<void> {
  await source.call("create_collection", small(NAME, { shards: 2, partitions: ["p1"] }));
  await source.call("insert_generated", { name: NAME, start: 0, count: 600, seed: 1 });
  await source.call("insert_generated", { name: NAME, start: 600, count: 300, seed: 1, partition: "p1" });
  await source.call("flush", { name: NAME });
  await source.call("delete", { name: NAME, start: 50, count: 60 });
  await source.call("insert_generated", { name: NAME, start: 200, count: 40, seed: 2, upsert: true });
}

interface Case {
  readonly point: string;
  readonly vault: Vault;
  readonly setup: TidemarkSetup;
}

/** A folder and a pipeline into it for each point, with these keys of the sink; `work` gets them with the filled source. */
async function withCases(
  points: readonly string[],
  sink: Record<string, unknown>,
  work: (servers: Servers, cases: readonly Case[]) => Promise<void>,
): Promise<void> {
  await withServers(PREFIX, async (servers) => {
    await fill(servers.source);
    await using folders = new AsyncDisposableStack();
    const cases: Case[] = [];
    for (const point of points) {
      const vault = folders.use(await folderVault());
      const options = { env: servers.env, include: [`default.${NAME}`], sinks: { vault: vaultSink(vault, sink) } };
      cases.push({ point, vault, setup: folders.use(await TidemarkSetup.make(options)) });
    }
    await work(servers, cases);
  });
}

async function assertKilled({ point, setup }: Case, args: readonly string[]): Promise<void> {
  const { code, stderr } = await setup.start(args, { TIDEMARK_CRASH_AT: point }).ends();
  assert.match(stderr, /killed at/, `it ended with ${code}, not at ${point}:\n${stderr}`);
}

/** Checks all cases side by side; each is a step of the test. */
async function eachStep(t: Deno.TestContext, cases: readonly Case[], check: (one: Case, i: number) => Promise<void>) {
  const results = cases.map((one, i) => check(one, i).then(() => undefined, (error: unknown) => ({ error })));
  for (const [i, { point }] of cases.entries()) {
    await t.step(point, async () => {
      const failed = await results[i];
      if (failed !== undefined) throw failed.error;
    });
  }
}

async function assertRestoresTo({ env, source, target }: Servers, { point, vault }: Case, backup: string) {
  const as = (name: string) => `${name}_${point.replace(":", "_")}`;
  await assertRestores({ env, vault, backup, source, target, names: [NAME], as });
}

Deno.test("run killed at a phase of its backup and started again ends with a whole backup", async (t) => {
  const points = [
    "backup_segment:2",
    "archive_roll:1",
    "archive_rolled:1",
    "archive_roll:5",
    "backup_meta:1",
    "backup_manifest:1",
    "backup_complete:1",
  ];
  await withCases(points, {}, async (servers, cases) => {
    const { source } = servers;
    await Promise.all(cases.map((one) => assertKilled(one, ["run"])));
    await source.call("insert_generated", { name: NAME, start: 900, count: 50, seed: 3 });
    await source.call("delete", { name: NAME, start: 300, count: 30 });
    await Promise.all(cases.map(({ setup }) => setup.once()));
    await eachStep(t, cases, async (one) => {
      await assertWhole(one.vault, "b");
      await assertRestoresTo(servers, one, "b");
    });
  });
});

Deno.test("run killed at a phase of a new base keeps the old one and finishes the new one", async (t) => {
  const points = ["rebase_adopted:1", "backup_segment:2", "backup_manifest:1", "backup_complete:1"];
  const sink = { name: "b_{date}_{time}", rebase_after: { age: "5s" } };
  await withCases(points, sink, async (servers, cases) => {
    const { source } = servers;
    await Promise.all(cases.map(({ setup }) => setup.once()));
    const first = await Promise.all(cases.map(({ vault }) => listComplete(vault)));
    assert.ok(first.every((names) => names.length > 0));
    await source.call("insert_generated", { name: NAME, start: 900, count: 50, seed: 3 });
    await source.call("delete", { name: NAME, start: 300, count: 30 });
    await Promise.all(cases.map((one) => assertKilled(one, ["run"])));
    const begun = await Promise.all(cases.map(({ vault }) => backupNames(vault)));
    await source.call("insert_generated", { name: NAME, start: 1000, count: 20, seed: 4 });
    await Promise.all(cases.map(({ setup }) => setup.once()));
    await eachStep(t, cases, async (one, i) => {
      assert.ok(begun[i]!.length > first[i]!.length, "it was killed in a new base");
      const names = await listComplete(one.vault);
      assert.ok(begun[i]!.every((item) => names.includes(item)), `${begun[i]} were begun, ${names} are complete`);
      for (const item of names) await assertWhole(one.vault, item);
      await assertRestoresTo(servers, one, names.at(-1)!);
    });
  });
});
