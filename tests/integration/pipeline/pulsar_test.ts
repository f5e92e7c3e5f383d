/**
 * A real Milvus whose queue is a real Pulsar with small ledgers: base, tail, kills and resume, changes of structure, and the rule
 * that nothing of ours ever holds the log.
 */
import assert from "node:assert/strict";
import { parseJson } from "../../../pipeline/json.ts";
import { pulsarPlace, pulsarPositions } from "../../../pipeline/positions/mod.ts";
import type { PulsarStandalone } from "../../stack/pulsar/standalone.ts";
import { assertGood, folderVault, vaultSink } from "../backup/backup_pipeline.ts";
import { assertSame } from "./comparison.ts";
import { untilTail } from "./following.ts";
import { onPulsar, type OwnSource, startOwnSource, startPulsar } from "./own_source.ts";
import { RandomWorkload, seeded } from "./random_workload.ts";
import { small } from "./servers.ts";
import { type Running, stackSources, TidemarkSetup } from "./tidemark_process.ts";

const PREFIX = "pu_";
const STEPS = 60;

interface Shared {
  readonly pulsar: PulsarStandalone;
  readonly own: OwnSource;
}

/** One server and one source for the whole file, stopped by its last test. */
const shared: { started?: Promise<Shared> } = {};
const start = () =>
  shared.started ??= (async () => {
    const pulsar = await startPulsar();
    try {
      return { pulsar, own: await startOwnSource(PREFIX, onPulsar(pulsar)) };
    } catch (error) {
      await pulsar[Symbol.asyncDispose]();
      throw error;
    }
  })();

async function pipeline({ pulsar, own }: Shared, options: Partial<Parameters<typeof TidemarkSetup.make>[0]> = {}) {
  const log = { type: "pulsar", address: pulsar.address, admin: pulsar.admin };
  const sources = { ...stackSources(own.env), log };
  return await TidemarkSetup.make({
    env: own.env,
    include: [`default.${PREFIX}*`],
    ...options,
    extra: { sources, ...options.extra },
  });
}

async function untilChannels(setup: TidemarkSetup, run: Running): Promise<void> {
  await untilTail(setup, run);
  await run.until("it reads a channel", async () => (await setup.status())!.channels.length > 0);
}

/** What the broker says of our readers, of all topics. */
async function readers(pulsar: PulsarStandalone): Promise<{ durable: string[]; other: string[] }> {
  const all = await Promise.all((await pulsar.topics()).map((topic) => pulsar.subscriptions(topic)));
  const ours = (names: string[]) => names.filter((name) => name.startsWith("tidemark"));
  return {
    durable: ours(all.flatMap(({ durable }) => durable)),
    other: ours(all.flatMap(({ other }) => other)),
  };
}

Deno.test({
  name: "a Milvus on a Pulsar of the tests' own starts",
  sanitizeOps: false,
  sanitizeResources: false,
  fn: async () => {
    const { pulsar } = await start();
    const channels = (await pulsar.topics()).filter((topic) => /-dml_\d+$/.test(topic));
    assert.ok(channels.length >= 4, `channels on Pulsar: ${channels.join(", ")}`);
  },
});

Deno.test("run keeps both sides equal on Pulsar under random work with kills, holds nothing there, and verify finds no difference", async () => {
  const { pulsar, own } = await start();
  const { source, target } = own;
  const work = new RandomWorkload(source, PREFIX, 11);
  const random = seeded(1011);
  await work.begin(2);
  for (let i = 0; i < STEPS / 4; i++) await work.step();
  for (const name of work.names) await source.call("flush", { name });
  await using setup = await pipeline({ pulsar, own });
  const { code: checked, stdout: said } = await setup.command(["check"]);
  assert.equal(checked, 0, said);
  assert.match(said, /public\/default keeps its topics|has none of its own/);
  let run = setup.start(["run"]);
  await untilChannels(setup, run);
  const { durable, other } = await readers(pulsar);
  assert.ok(other.length > 0, "no reader of ours is there to be looked at");
  assert.deepEqual(durable, [], "a subscription of ours holds the log");
  let kills = 0;
  for (let i = 0; i < STEPS; i++) {
    await work.step();
    if (i === STEPS / 2) {
      for (const topic of await pulsar.topics()) if (/-dml_\d+$/.test(topic)) await pulsar.unload(topic);
    }
    if (random() < 0.04) {
      kills++;
      await run.kill();
      run = setup.start(["run"]);
    }
  }
  const { stderr } = await run.kill();
  await setup.once();
  const there = (await target.call("list_collections", {}) as string[]).filter((name) => name.startsWith(PREFIX));
  assert.deepEqual(there.sort(), work.names.sort(), `after ${kills} kills and ${JSON.stringify(work.done)}\n${stderr}`);
  for (const name of work.names) await assertSame({ server: source, name }, { server: target, name });
  const verified = await setup.command(["verify"]);
  assert.equal(verified.code, 0, `${verified.stdout}\n${verified.stderr}`);
  assert.deepEqual((await readers(pulsar)).durable, []);
});

Deno.test("run killed at phases goes on in Pulsar's log where it was, target and archive", async () => {
  const { pulsar, own } = await start();
  const { source, target } = own;
  const [a, b] = [`${PREFIX}crash_a`, `${PREFIX}crash_b`];
  await source.call("create_collection", small(a, { shards: 2, partitions: ["p"] }));
  await source.call("insert_generated", { name: a, start: 0, count: 400, seed: 1 });
  await source.call("flush", { name: a });
  await source.call("insert_generated", { name: a, start: 400, count: 100, seed: 1, partition: "p" });
  await using vault = await folderVault();
  await using setup = await pipeline({ pulsar, own }, {
    include: [`default.${PREFIX}crash_*`],
    sinks: { replica: { type: "milvus", address: own.env.TARGET_URI }, vault: vaultSink(vault) },
  });
  let next = 1000;
  for (const point of ["mid_segment", "between_write_and_ack", "between_ack_and_checkpoint", "archive_roll"]) {
    const { stderr } = await setup.start(["run", "--once"], { TIDEMARK_CRASH_AT: `${point}:1` }).ends();
    assert.match(stderr, /killed at/, `${point}: ${stderr}`);
    await source.call("insert_generated", { name: a, start: next, count: 60, seed: next });
    await source.call("delete", { name: a, start: next - 20, count: 30 });
    next += 1000;
  }
  await source.call("drop_partition", { name: a, partition: "p" });
  await source.call("rename_collection", { name: a, new_name: b });
  await source.call("create_collection", small(a));
  await source.call("insert_generated", { name: a, start: 7, count: 30, seed: 2 });
  await setup.once();
  for (const name of [a, b]) await assertSame({ server: source, name }, { server: target, name });
  await assertGood(setup, vault, "b");
});

Deno.test("run says that the server was rebuilt, though its log has the ledger and the entry that the state names", async () => {
  const { pulsar, own } = await start();
  const name = `${PREFIX}one`;
  const { pchannels } = await own.source.call("create_collection", small(name)) as { pchannels: string[] };
  await own.source.call("insert_generated", { name, start: 0, count: 50, seed: 1 });
  await using setup = await pipeline({ pulsar, own }, { include: [`default.${name}`] });
  await setup.once();
  const topic = pchannels[0]!;
  const { position } = (await setup.status())!.channels.find(({ pchannel }) => pchannel === topic)!;
  const { ledger, entry } = pulsarPlace(pulsarPositions.parse(position)!);
  const state = parseJson(await Deno.readTextFile(`${setup.folder}/state/test.state.json`)) as {
    topicIds: Record<string, string>;
  };
  assert.match(state.topicIds[topic]!, /^\d+:\d+ \d+ .+ \d+$/);
  // Nobody else writes to the new server.
  await own.stack.kill("source");
  await pulsar.rebuild();
  // A topic has one ledger at first, and ids are given in order.
  const ledgerOf = async (made: string) => {
    await pulsar.createTopic(made);
    const { ledgers } = await pulsar.rest("GET", `persistent/public/default/${made}/internalStats`) as {
      ledgers: { ledgerId: number }[];
    };
    return BigInt(ledgers.at(-1)!.ledgerId);
  };
  let at = -1n;
  for (let i = 0; at < ledger - 1n; i++) at = await ledgerOf(`filler_${i}`);
  assert.equal(at, ledger - 1n);
  assert.equal(await ledgerOf(topic), ledger);
  await using producer = await pulsar.producer(topic);
  const value = new TextEncoder().encode("of another log");
  await producer.send(Array.from({ length: Number(entry) + 5 }, () => ({ value })), { window: 16 });
  const { code, stderr } = await setup.command(["run", "--once"]);
  assert.equal(code, 14, stderr);
  assert.match(stderr, new RegExp(`${topic} was deleted and made again since the last run`));
  assert.match(stderr, /on_position_lost: resnapshot/);
});

Deno.test({
  name: "the Milvus on Pulsar stops",
  sanitizeOps: false,
  sanitizeResources: false,
  fn: async () => {
    const { pulsar, own } = await start();
    await own[Symbol.asyncDispose]();
    await pulsar[Symbol.asyncDispose]();
  },
});
