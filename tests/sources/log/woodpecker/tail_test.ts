import assert from "node:assert/strict";
import fc from "fast-check";
import { TidemarkError } from "../../../../pipeline/errors.ts";
import type { LogFetch, LogRecord, ObjectStore } from "../../../../pipeline/model/mod.ts";
import { woodpeckerPosition, woodpeckerPositions } from "../../../../pipeline/positions/mod.ts";
import { createWoodpeckerLog, WoodpeckerLogs } from "../../../../sources/log/mod.ts";
import { createMemoryStore } from "../../../../stores/mod.ts";
import { EtcdKeys } from "../../../fakes/etcd_keys.ts";
import { type Message, WoodpeckerWriter } from "../../../fakes/woodpecker_writer.ts";

const LOG = "by-dev-rootcoord-dml_0";
const utf8 = new TextEncoder();

class World implements AsyncDisposable {
  readonly store = createMemoryStore();
  readonly keys = new EtcdKeys();
  readonly writer = new WoodpeckerWriter(this.store, this.keys);
  readonly states: (string | undefined)[] = [];
  readonly #logs = new WoodpeckerLogs(this.keys, ["woodpecker"]);
  readonly #stop = new AbortController();
  #appended = 0;

  constructor() {
    this.writer.create(LOG);
  }

  log(
    store: ObjectStore = this.store,
    times: Partial<Parameters<typeof createWoodpeckerLog>[0]> = {},
  ): ReturnType<typeof createWoodpeckerLog> {
    return createWoodpeckerLog({
      store,
      root: "files/wp",
      isFolder: false,
      logs: this.#logs,
      pollMs: 1,
      idlePollMs: 1,
      onState: (_topic, reason) => this.states.push(reason),
      ...times,
    });
  }

  pages(from = 0n, store?: ObjectStore): AsyncIterator<LogFetch> {
    return this.log(store).tail(LOG, from, undefined, this.#stop.signal)[Symbol.asyncIterator]();
  }

  /** One block of so many entries; each says which it is. */
  async append(count: number, segment?: number): Promise<void> {
    const messages: Message[] = Array.from({ length: count }, (_, i) => ({
      value: utf8.encode(`message ${this.#appended + i}`),
      headers: { _v: utf8.encode("2"), _h: new Uint8Array() },
    }));
    this.#appended += count;
    await this.writer.append(LOG, messages, segment);
  }

  get appended(): number {
    return this.#appended;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort();
    await this.#logs.close();
  }
}

async function next(pages: AsyncIterator<LogFetch>): Promise<LogFetch> {
  return (await pages.next()).value;
}

/** Records up to the first page that says that there are no more. */
async function toEnd(pages: AsyncIterator<LogFetch>): Promise<LogRecord[]> {
  const found: LogRecord[] = [];
  for (;;) {
    const page = await next(pages);
    if (page.records.length === 0 && page.next >= page.highWatermark) return found;
    found.push(...page.records);
  }
}

const text = ({ value }: LogRecord) => new TextDecoder().decode(value!);
const places = (records: readonly LogRecord[]) => records.map(({ offset }) => woodpeckerPositions.format(offset));
const is = (code: string, words: RegExp) => (thrown: unknown) =>
  thrown instanceof TidemarkError && thrown.code === code && words.test(`${thrown.message} ${thrown.hint}`);

for (const step of ["merged", "footer", "original", "sealed"]) {
  Deno.test(`WoodpeckerTail reads every entry once when a compaction is at "${step}" under it`, async () => {
    await using world = new World();
    for (let i = 0; i < 6; i++) await world.append(2);
    const pages = world.pages();
    const found = [...(await next(pages)).records];
    world.writer.begin(LOG);
    world.writer.complete(LOG, 0);
    await world.writer.writeFooter(LOG, 0);
    found.push(...(await next(pages)).records);
    await world.writer.compact(LOG, 0, 2, async (at) => {
      if (at === step && found.length < 12) found.push(...(await next(pages)).records);
    });
    found.push(...await toEnd(pages));
    assert.deepEqual(found.map(text), Array.from({ length: 12 }, (_, i) => `message ${i}`));
    assert.deepEqual(places(found), Array.from({ length: 12 }, (_, i) => `0/${i}`));
  });
}

Deno.test("WoodpeckerTail finishes a segment before the next, whichever has its entries first", async () => {
  await using world = new World();
  await world.append(1);
  const pages = world.pages();
  const found = [...(await next(pages)).records];
  world.writer.begin(LOG);
  await world.append(1, 1);
  const coming = next(pages);
  await world.append(1, 0);
  world.writer.complete(LOG, 0);
  found.push(...(await coming).records, ...await toEnd(pages));
  assert.deepEqual(places(found), ["0/0", "0/1", "1/0"]);
});

Deno.test("WoodpeckerTail does not leave a fenced segment before etcd says where it ends, nor a block behind the fence", async () => {
  await using world = new World();
  await world.append(2);
  await world.writer.fence(LOG);
  // A late block of the old writer, behind the fence.
  await world.writer.put(LOG, 0, "2.blk", utf8.encode("never looked at"));
  world.writer.complete(LOG);
  world.writer.begin(LOG);
  await world.append(1);
  assert.deepEqual(places(await toEnd(world.pages())), ["0/0", "0/1", "1/0"]);
});

Deno.test("WoodpeckerTail does not say that the log ends while its watch is behind etcd", async () => {
  await using world = new World();
  await world.append(1);
  const pages = world.pages();
  assert.equal((await next(pages)).records.length, 1);
  world.keys.hold(true);
  world.writer.complete(LOG);
  world.writer.begin(LOG);
  await world.append(1);
  let ended = false;
  const coming = next(pages).then((page) => {
    ended = true;
    return page;
  });
  for (let i = 0; i < 50; i++) await new Promise((resolve) => setTimeout(resolve, 0));
  assert.equal(ended, false);
  world.keys.hold(false);
  assert.deepEqual(places((await coming).records), ["1/0"]);
});

Deno.test("createWoodpeckerLog does not say that a log is empty while its watch is behind etcd", async () => {
  await using world = new World();
  const { signal } = new AbortController();
  const log = world.log();
  assert.equal((await log.bounds(LOG, signal)).latest, 0n);
  world.keys.hold(true);
  await world.append(3);
  const coming = log.bounds(LOG, signal);
  for (let i = 0; i < 50; i++) await new Promise((resolve) => setTimeout(resolve, 0));
  world.keys.hold(false);
  assert.equal((await coming).latest, 3n);
});

Deno.test("WoodpeckerTail ends with an AbortError when it is stopped, whatever the clients below make of it", async () => {
  await using world = new World();
  await world.append(1);
  const stop = new AbortController();
  world.keys.get = () => {
    stop.abort();
    return Promise.reject(new TidemarkError("aborted", "Stopped by request"));
  };
  const pages = world.log().tail(LOG, 1n, undefined, stop.signal);
  await assert.rejects(pages[Symbol.asyncIterator]().next(), { name: "AbortError" });
});

Deno.test("WoodpeckerTail skips a segment that ended empty, and stands at the end of a log without an active one", async () => {
  await using world = new World();
  world.writer.begin(LOG);
  world.writer.complete(LOG);
  world.writer.begin(LOG);
  await world.append(2);
  world.writer.complete(LOG);
  const pages = world.pages();
  assert.deepEqual(places(await toEnd(pages)), ["1/0", "1/1"]);
  world.writer.begin(LOG);
  await world.append(1);
  assert.deepEqual(places((await next(pages)).records), ["2/0"]);
});

Deno.test("WoodpeckerTail resumes at every record of a segment of many blocks, with few requests", async () => {
  await using world = new World();
  for (let i = 0; i < 100; i++) await world.append(1 + i % 3);
  for (let entry = 0; entry < world.appended; entry += 7) {
    let gets = 0;
    const counting: ObjectStore = {
      ...world.store,
      get: (...request) => {
        gets++;
        return world.store.get(...request);
      },
    };
    const page = await next(world.pages(woodpeckerPosition(0n, BigInt(entry)), counting));
    assert.equal(page.records[0]!.offset, woodpeckerPosition(0n, BigInt(entry)));
    assert.ok(gets <= 20, `${gets} requests`);
  }
  assert.equal((await world.log().bounds(LOG, new AbortController().signal)).latest, BigInt(world.appended));
});

Deno.test("WoodpeckerTail looks for nothing behind what it found at the log's end until a while has passed", async () => {
  await using world = new World();
  await world.append(1);
  const looks: string[] = [];
  const counting: ObjectStore = {
    ...world.store,
    get: (...request) => {
      looks.push(request[0]);
      return world.store.get(...request);
    },
  };
  const pages = world.pages(0n, counting);
  assert.equal((await toEnd(pages)).length, 1);
  for (let block = 1; block < 4; block++) {
    await world.append(1);
    looks.length = 0;
    assert.equal((await next(pages)).records.length, 1);
    assert.deepEqual(looks, [`files/wp/1/0/${block}.blk`]);
    await toEnd(pages);
  }
});

Deno.test("WoodpeckerTail asks the store about once for each block of a writer that writes every 200 ms, over rolls", async () => {
  await using world = new World();
  const [every, blocks] = [203, 400];
  let clock = 0;
  let written = 0;
  let looks = 0;
  const counting: ObjectStore = {
    ...world.store,
    get: (...request) => {
      looks++;
      return world.store.get(...request);
    },
  };
  const writtenUntil = async (time: number) => {
    for (; (written + 1) * every <= time && written < blocks; written++) {
      if (written > 0 && written % 100 === 0) {
        const full = world.writer.last(LOG);
        world.writer.begin(LOG);
        await world.writer.fence(LOG, full);
        world.writer.complete(LOG, full);
      }
      await world.append(1);
    }
  };
  const stop = new AbortController();
  const log = world.log(counting, {
    pollMs: 200,
    idlePollMs: 2000,
    now: () => clock,
    sleep: async (ms, signal) => {
      // Whoever waits for something else as well is told of that first.
      await new Promise((resolve) => setTimeout(resolve, 0));
      signal.throwIfAborted();
      await writtenUntil(clock + ms);
      clock += ms;
    },
  });
  world.writer.begin(LOG);
  const delays: number[] = [];
  for await (const { records } of log.tail(LOG, 0n, undefined, stop.signal)) {
    for (const _ of records) delays.push(clock - (delays.length + 1) * every);
    if (delays.length === blocks) break;
  }
  stop.abort();
  assert.ok(looks <= blocks * 1.08, `${looks} requests for ${blocks} blocks`);
  const late = delays.toSorted((a, b) => a - b);
  assert.ok(late[blocks / 2]! <= 60, `p50 ${late[blocks / 2]}`);
  assert.ok(late[Math.floor(blocks * 0.95)]! <= 200, `p95 ${late[Math.floor(blocks * 0.95)]}`);
});

Deno.test("WoodpeckerTail throws position_lost when its segment is removed under it", async () => {
  await using world = new World();
  for (let i = 0; i < 4; i++) await world.append(1);
  const pages = world.pages();
  await next(pages);
  world.writer.complete(LOG);
  world.writer.begin(LOG);
  world.writer.truncate(LOG, 1);
  await world.writer.remove(LOG, 0);
  await assert.rejects(async () => {
    for (;;) await next(pages);
  }, is("position_lost", /holds 1\/0 to .*retentionPolicy/));
});

Deno.test("WoodpeckerTail throws position_lost where the source takes back entries that were read", async () => {
  await using world = new World();
  await world.append(3);
  const pages = world.pages();
  assert.equal((await next(pages)).records.length, 3);
  const other = new WoodpeckerWriter(createMemoryStore(), world.keys);
  other.create(LOG);
  await other.append(LOG, [{ value: utf8.encode("the only one that is left") }]);
  other.complete(LOG);
  await assert.rejects(async () => {
    for (;;) await next(pages);
  }, is("position_lost", /ends with entry 0, and entry 2 of it had been read/));
});

Deno.test("WoodpeckerTail tells a missing right from a log without anything new", async () => {
  await using world = new World();
  await world.append(1);
  const forbidding: ObjectStore = {
    ...world.store,
    get: (...request) => world.store.get(...request).catch(refuse),
    head: async (...request) => await world.store.head(...request) ?? refuse(),
  };
  const refuse = (): never => {
    throw new TidemarkError("authentication", "AccessDenied");
  };
  const pages = world.pages(0n, forbidding);
  await next(pages);
  await assert.rejects(next(pages), is("authentication", /ListBucket/));
  const lines = await world.log(forbidding).check(new AbortController().signal);
  assert.deepEqual(lines.map(({ ok, code }) => [ok, code]), [["ok", undefined], ["fail", "authentication"]]);
});

Deno.test("WoodpeckerTail tells a bucket that is not there from a log without anything new", async () => {
  await using world = new World();
  world.writer.begin(LOG);
  const store: ObjectStore = {
    ...world.store,
    get: () => Promise.reject(new TidemarkError("not_found", "No bucket b at s3:9000", { hint: "Set bucket." })),
  };
  await assert.rejects(next(world.pages(0n, store)), is("not_found", /No bucket b/));
});

Deno.test("WoodpeckerTail takes an object that etcd names and that is not there neither for the end nor for nothing", async () => {
  await using world = new World();
  await world.append(2);
  await world.append(2);
  world.writer.complete(LOG);
  world.writer.begin(LOG);
  await world.store.delete(["files/wp/1/0/1.blk"]);
  const pages = world.pages();
  const seen: LogRecord[] = [];
  await assert.rejects(async () => {
    for (;;) seen.push(...(await next(pages)).records);
  }, is("damaged", /1\.blk is not there, etcd says that there are 3/));
  assert.deepEqual(places(seen), ["0/0", "0/1"]);
  assert.match(world.states[0]!, /1\.blk is not there/);
});

Deno.test("WoodpeckerTail reads a body that was cut off again, and calls it damaged when it stays so", async () => {
  await using world = new World();
  await world.append(3);
  let cuts = 2;
  const cutting: ObjectStore = {
    ...world.store,
    get: async (...request) => {
      const bytes = await world.store.get(...request);
      return cuts-- > 0 ? bytes.subarray(0, bytes.length - 5) : bytes;
    },
  };
  assert.equal((await next(world.pages(0n, cutting))).records.length, 3);
  cuts = Infinity;
  await assert.rejects(
    next(world.pages(0n, cutting)),
    is("damaged", /files\/wp\/1\/0\/0\.blk .*it ends at|has \d+ bytes/),
  );
});

Deno.test("WoodpeckerLogs says when no prefix or two of them have logs", async () => {
  const signal = new AbortController().signal;
  const keys = new EtcdKeys();
  const names = async () => {
    const logs = new WoodpeckerLogs(keys, WoodpeckerLogs.candidates("by-dev", undefined));
    try {
      return [await logs.names(signal), await logs.prefix(signal)];
    } finally {
      await logs.close();
    }
  };
  await assert.rejects(names(), is("not_found", /woodpecker\/ or by-dev\/woodpecker\/.*meta_prefix/));
  new WoodpeckerWriter(createMemoryStore(), keys, { prefix: "by-dev/woodpecker" }).create(LOG);
  assert.deepEqual(await names(), [[LOG], "by-dev/woodpecker"]);
  new WoodpeckerWriter(createMemoryStore(), keys).create(LOG);
  await assert.rejects(names(), is("config", /Two clusters share this etcd/));
});

type Action = "append" | "roll" | "takeover" | "compact" | "truncate" | "remove" | "read";

Deno.test("WoodpeckerTail gives every acknowledged entry once and in order, whatever the writers do meanwhile", async () => {
  const action = fc.constantFrom<Action>(
    ...["append", "append", "append", "roll", "takeover", "compact", "truncate", "remove", "read", "read"] as Action[],
  );
  await fc.assert(
    fc.asyncProperty(fc.array(fc.tuple(action, fc.integer({ min: 1, max: 5 })), { maxLength: 60 }), async (actions) => {
      await using world = new World();
      const { writer } = world;
      writer.begin(LOG);
      const expected: string[] = [];
      const ended = new Set<number>();
      let compacting: Promise<void> = Promise.resolve();
      const found: LogRecord[] = [];
      const pages = world.pages();
      let reading: Promise<void> | undefined;
      const append = async (count: number) => {
        const segment = writer.last(LOG);
        const first = expected.filter((place) => place.startsWith(`${segment}/`)).length;
        await world.append(count);
        for (let i = 0; i < count; i++) expected.push(`${segment}/${first + i}`);
      };
      for (const [kind, count] of actions) {
        const last = writer.last(LOG);
        const read = found.length === 0 ? 0 : Number(found.at(-1)!.offset >> 64n);
        switch (kind) {
          case "append":
            await append(count);
            break;
          case "roll":
            // The next segment is begun, and may be written to, before this one is finished.
            writer.begin(LOG);
            if (count > 2) await append(1);
            if (count > 3) await writer.writeFooter(LOG, last);
            writer.complete(LOG, last);
            ended.add(last);
            break;
          case "takeover":
            await writer.fence(LOG, last);
            writer.complete(LOG, last);
            writer.begin(LOG);
            ended.add(last);
            break;
          case "compact":
            for (const segment of [...ended].slice(0, 1)) {
              ended.delete(segment);
              await compacting;
              compacting = writer.compact(LOG, segment, count, () => new Promise((done) => setTimeout(done, 0)));
            }
            break;
          case "truncate":
            await compacting;
            writer.truncate(LOG, read);
            break;
          case "remove":
            // Only what was read: the rest would be a loss.
            await compacting;
            for (let segment = 0; segment < read; segment++) {
              ended.delete(segment);
              await writer.remove(LOG, segment).catch(() => {});
            }
            break;
          case "read":
            reading = (reading ?? Promise.resolve()).then(async () => {
              found.push(...(await next(pages)).records);
            });
        }
      }
      await compacting;
      await reading;
      found.push(...await toEnd(pages));
      assert.deepEqual(places(found), expected);
    }),
    { numRuns: 60 },
  );
});
