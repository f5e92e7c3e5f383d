import assert from "node:assert/strict";
import { TidemarkError } from "../../../../pipeline/errors.ts";
import type { LogFetch, LogRecord } from "../../../../pipeline/model/mod.ts";
import { woodpeckerPosition } from "../../../../pipeline/positions/mod.ts";
import { createWoodpeckerLog, WoodpeckerLogs } from "../../../../sources/log/mod.ts";
import { createMemoryStore } from "../../../../stores/mod.ts";
import { EtcdKeys } from "../../../fakes/etcd_keys.ts";
import { FakeNode, nodesOf } from "../../../fakes/woodpecker_nodes.ts";
import { layoutOf, WoodpeckerWriter } from "../../../fakes/woodpecker_writer.ts";

const LOG = "by-dev-rootcoord-dml_0";
const utf8 = new TextEncoder();

class World implements AsyncDisposable {
  readonly nodes = ["n0:18080", "n1:18080", "n2:18080"].map((address) => new FakeNode(address));
  readonly store = createMemoryStore();
  readonly keys = new EtcdKeys();
  readonly writer: WoodpeckerWriter;
  readonly states: (string | undefined)[] = [];
  readonly #stop = new AbortController();
  readonly #logs = new WoodpeckerLogs(this.keys, ["woodpecker"]);
  #count = 0n;

  constructor() {
    this.writer = new WoodpeckerWriter(this.store, this.keys, {
      quorum: { nodes: this.nodes.map(({ address }) => address), acks: 2 },
    });
    this.writer.create(LOG);
    this.writer.begin(LOG);
  }

  /** To the servers alone, which are told so far that it is acknowledged. */
  append(count: number, to: readonly number[] = [0, 1, 2], told: readonly number[] = to): void {
    const entries = Array.from(
      { length: count },
      (_, i) => layoutOf({ value: utf8.encode(`${Number(this.#count) + i}`) }),
    );
    for (const node of to) this.nodes[node]!.give(entries, this.#count);
    this.#count += BigInt(count);
    for (const node of told) this.nodes[node]!.acknowledged = this.#count - 1n;
  }

  log() {
    const { store } = this;
    const nodes = nodesOf(this.nodes);
    return createWoodpeckerLog({
      store,
      root: "files/wp",
      isFolder: false,
      logs: this.#logs,
      nodes,
      pollMs: 1,
      idlePollMs: 1,
      sleep: () => new Promise((resolve) => setTimeout(resolve, 0)),
      onState: (_topic, reason) => this.states.push(reason),
    });
  }

  pages(from = 0n): AsyncIterator<LogFetch> {
    return this.log().tail(LOG, from, undefined, this.#stop.signal)[Symbol.asyncIterator]();
  }

  latest(): Promise<bigint> {
    return this.log().bounds(LOG, this.#stop.signal).then(({ latest }) => latest);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort();
    await this.#logs.close();
  }
}

const next = async (pages: AsyncIterator<LogFetch>): Promise<LogFetch> => (await pages.next()).value;

async function toEnd(pages: AsyncIterator<LogFetch>): Promise<string[]> {
  const found: LogRecord[] = [];
  for (;;) {
    const page = await next(pages);
    if (page.records.length === 0 && page.next >= page.highWatermark) break;
    found.push(...page.records);
  }
  return found.map(({ value }) => new TextDecoder().decode(value!));
}

const upTo = (count: number, first = 0) => Array.from({ length: count }, (_, i) => String(first + i));

Deno.test("NodeSegment gives what servers have acknowledged, and reads on where it was", async () => {
  await using world = new World();
  world.append(3);
  const pages = world.pages();
  assert.deepEqual(await toEnd(pages), upTo(3));
  world.append(2);
  const page = await next(pages);
  assert.deepEqual([page.records.length, page.next], [2, 5n]);
  // A server that gave entries is spared the search for the next ones.
  assert.ok(world.nodes[0]!.calls.includes("GetBatchEntriesAdv+state"));
  assert.equal(await world.latest(), 5n);
});

Deno.test("NodeSegment takes entries that a server lacks from another one, and never what lies behind a gap", async () => {
  await using world = new World();
  world.append(3);
  // The first one was away meanwhile.
  world.append(4, [1, 2]);
  world.append(2);
  assert.deepEqual(await toEnd(world.pages()), upTo(9));
});

Deno.test("NodeSegment does not say that the log ends while an entry is written that no server gives out yet", async () => {
  await using world = new World();
  world.append(2);
  world.append(1, [1, 2], []);
  const pages = world.pages();
  assert.equal((await next(pages)).records.length, 2);
  const page = await next(pages);
  assert.deepEqual([page.records.length, page.next, page.highWatermark], [0, 2n, 3n]);
  assert.equal(await world.latest(), 3n);
  for (const node of world.nodes) node.acknowledged = 2n;
  assert.deepEqual(await toEnd(pages), ["2"]);
});

Deno.test("NodeSegment waits for servers that were all restarted and forgot what is acknowledged", async () => {
  await using world = new World();
  world.append(3);
  for (const node of world.nodes) node.acknowledged = -1n;
  const pages = world.pages();
  const page = await next(pages);
  assert.deepEqual([page.records.length, page.next, page.highWatermark], [0, 0n, 3n]);
  world.append(1);
  assert.deepEqual(await toEnd(pages), upTo(4));
});

Deno.test("NodeSegment needs so many servers for the end that one of them has all that is acknowledged", async () => {
  await using world = new World();
  world.append(3);
  const pages = world.pages();
  world.nodes[0]!.up = false;
  assert.deepEqual(await toEnd(pages), upTo(3));
  assert.equal(await world.latest(), 3n);
  world.nodes[1]!.up = false;
  const coming = next(pages);
  await assert.rejects(
    world.latest(),
    (thrown) => thrown instanceof TidemarkError && thrown.code === "unreachable" && thrown.retriable,
  );
  while (world.states.length === 0) await new Promise((resolve) => setTimeout(resolve, 0));
  assert.match(world.states[0]!, /2 of Woodpecker's servers n0:18080, n1:18080, n2:18080 do not answer: n[01]/);
  world.nodes[1]!.up = true;
  assert.deepEqual((await coming).records, []);
  assert.equal(world.states.at(-1), undefined);
});

Deno.test("NodeSegment takes the end of a segment from etcd, not from a server, and gives nothing behind it", async () => {
  await using world = new World();
  world.append(3);
  for (const node of world.nodes) node.ended = true;
  const pages = world.pages();
  assert.deepEqual(await toEnd(pages), upTo(3));
  // One server had one more, which was never acknowledged.
  world.nodes[0]!.give([layoutOf({ value: utf8.encode("never") })], 3n);
  world.nodes[0]!.acknowledged = 3n;
  world.writer.complete(LOG, 0, 2n);
  assert.deepEqual(await toEnd(pages), []);
  assert.deepEqual(await toEnd(world.pages()), upTo(3));
});

Deno.test("NodeSegment reads a sealed segment from the bucket, and asks no server", async () => {
  await using world = new World();
  await world.writer.append(LOG, upTo(5).map((value) => ({ value: utf8.encode(value) })));
  world.writer.complete(LOG);
  await world.writer.compact(LOG);
  for (const node of world.nodes) node.up = false;
  assert.deepEqual(await toEnd(world.pages()), upTo(5));
  assert.deepEqual(world.nodes.flatMap(({ calls }) => calls), []);
});

Deno.test("NodeSegment reads a segment from the bucket that was sealed under it, and servers have removed", async () => {
  await using world = new World();
  world.append(3);
  const pages = world.pages();
  assert.deepEqual(await toEnd(pages), upTo(3));
  await world.writer.append(LOG, upTo(5).map((value) => ({ value: utf8.encode(value) })));
  for (const node of world.nodes) node.entries.clear();
  world.writer.complete(LOG);
  await world.writer.compact(LOG);
  assert.deepEqual(await toEnd(pages), ["3", "4"]);
});

Deno.test("NodeSegment takes back nothing in silence: servers that ended a segment before what they gave are a loss", async () => {
  await using world = new World();
  world.append(3);
  const pages = world.pages();
  assert.deepEqual(await toEnd(pages), upTo(3));
  world.writer.complete(LOG, 0, 1n);
  await assert.rejects(toEnd(pages), { code: "position_lost" });
});

Deno.test("createWoodpeckerLog finds a place behind the end of what servers hold lost", async () => {
  await using world = new World();
  world.append(3);
  await assert.rejects(toEnd(world.pages(woodpeckerPosition(0n, 4n))), { code: "position_lost" });
  assert.deepEqual(await toEnd(world.pages(woodpeckerPosition(0n, 3n))), []);
});
