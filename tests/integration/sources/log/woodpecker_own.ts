/**
 * The log source against Woodpecker's own Go module as writer, embedded and with its own servers, on a real etcd and a real S3
 * server. By hand, since building Woodpecker takes two minutes of processor time:
 *
 *     deno test -A tests/integration/sources/log/woodpecker_own.ts
 */
import assert from "node:assert/strict";
import type { LogRecord, LogSource } from "../../../../pipeline/model/mod.ts";
import { openLog } from "../../../../config/open_log.ts";
import { sourcesSpec } from "../../../../config/schema.ts";
import { testLogSource } from "../../../conformance/log.ts";
import { eventually } from "../../../stack/eventually.ts";
import { BUCKET, type RigOptions, ROOT, WoodpeckerRig } from "../../../stack/woodpecker/rig.ts";
import type { OwnWriter } from "../../../stack/woodpecker/writer.ts";

const never = new AbortController().signal;
const text = new TextEncoder();

function openSource(rig: WoodpeckerRig, onState: (topic: string, reason: string | undefined) => void = () => {}) {
  const sources = sourcesSpec.parse({
    meta: { type: "etcd", endpoints: [rig.etcd.address] },
    log: {
      type: "woodpecker",
      root_path: ROOT,
      storage: {
        type: "s3",
        endpoint: rig.s3.endpoint,
        bucket: BUCKET,
        access_key_id: rig.s3.root.accessKeyId,
        secret_access_key: rig.s3.root.secretAccessKey,
      },
      poll_ms: "20ms",
      idle_poll_ms: "50ms",
    },
    binlogs: { type: "file", path: "/nowhere" },
  });
  return openLog(sources.log!, { sources, retry: {}, onState, onRetry: () => {} });
}

const said = ({ value }: LogRecord) => new TextDecoder().decode(value!);
const numbered = (count: number, first = 0) =>
  Array.from({ length: count }, (_, i) => ({ value: text.encode(`${first + i}`) }));

async function take(source: LogSource, topic: string, from: bigint, count: number): Promise<LogRecord[]> {
  const found: LogRecord[] = [];
  for await (const { records } of source.tail(topic, from, undefined, never)) {
    found.push(...records);
    if (found.length >= count) break;
  }
  return found;
}

function suite(name: string, options: RigOptions): void {
  const shared: { rig?: Promise<WoodpeckerRig>; writer?: Promise<OwnWriter> } = {};
  const rig = () => shared.rig ??= WoodpeckerRig.start(options);
  const writer = () => shared.writer ??= rig().then((own) => own.writer());
  const test = (sentence: string, fn: () => Promise<void>) =>
    Deno.test({ name: `${name}: ${sentence}`, sanitizeOps: false, sanitizeResources: false, fn });

  test("it starts", async () => {
    await writer();
  });

  testLogSource(`openWoodpeckerLog, ${name},`, async () => {
    const [own, source] = [await writer(), await openSource(await rig())];
    return {
      source,
      nulls: false,
      createTopic: async (topic) => {
        await own.create(topic);
        await own.open(topic);
      },
      deleteTopic: async (topic) => {
        await own.close(topic);
        await own.delete(topic);
      },
      append: async (topic, values) => {
        // Small, so that they lie in several segments.
        const together = values.length > 60 ? 40 : 3;
        for (let at = 0; at < values.length; at += together) {
          await own.append(
            topic,
            values.slice(at, at + together).map(({ value, headers = {} }) => {
              const empty = (value === null || value.length === 0) && Object.keys(headers).length === 0;
              // A message without anything is refused.
              return { value: value ?? new Uint8Array(), headers: empty ? { none: new Uint8Array() } : headers };
            }),
          );
        }
      },
      deleteRecords: async (topic, before) => {
        const segment = Number(before >> 64n);
        await own.truncate(topic, segment, 0);
        await eventually(
          "the segments before it are removed",
          async () => segment === 0 || (await source.bounds(topic, never)).earliest >> 64n === BigInt(segment),
        );
      },
      close: () => source.close(),
    };
  }, { counted: false, binaryHeaders: false, prefix: name.replaceAll(" ", "-") });

  test("everything acknowledged is read once and in order, through rolls, compactions, truncations and takeovers", async () => {
    const own = await rig();
    const log = "under-the-reader";
    const source = await openSource(own);
    let writing = await writer();
    await writing.create(log);
    await writing.open(log);
    await writing.append(log, numbered(1));
    const expected = ["0"];
    const found: LogRecord[] = [];
    const stop = new AbortController();
    const { earliest } = await source.bounds(log, never);
    const reading = (async () => {
      for await (const { records } of source.tail(log, earliest, undefined, stop.signal)) found.push(...records);
    })();
    reading.catch(() => {});
    let next = 1;
    for (let round = 0; round < 60; round++) {
      const batch = numbered(1 + round % 7, next);
      next += batch.length;
      const places = await writing.append(log, batch);
      expected.push(...batch.map(({ value }) => new TextDecoder().decode(value)));
      if (round % 20 === 7) {
        const behind = writing;
        writing = await own.writer();
        await writing.open(log);
        // The one that was shut out writes nothing any more.
        await assert.rejects(behind.append(log, numbered(1, 1_000_000)));
        if (round > 20) await behind.kill();
      }
      if (round % 10 === 9) {
        const segment = Number(found.at(-1)?.offset ?? 0n) === 0 ? 0 : Number(found.at(-1)!.offset >> 64n);
        if (segment > 0) await writing.truncate(log, segment, 0);
      }
      assert.ok(places.length === batch.length);
      await Promise.race([reading, new Promise((resolve) => setTimeout(resolve, 50))]);
    }
    await eventually("everything is read", async () => {
      await Promise.race([reading, Promise.resolve()]);
      return found.length >= expected.length;
    }, { progress: () => `${found.length} of ${expected.length}` });
    stop.abort();
    await reading.catch((thrown) => assert.equal(thrown.name, "AbortError"));
    assert.deepEqual(found.map(said), expected);
    for (let i = 1; i < found.length; i++) assert.ok(found[i]!.offset > found[i - 1]!.offset);
    assert.ok(found.at(-1)!.offset >> 64n > 5n, `only ${found.at(-1)!.offset >> 64n} segments`);
    await source.close();
  });

  test("its writer is killed and another one goes on", async () => {
    const own = await rig();
    const log = "killed-writer";
    const source = await openSource(own);
    const first = await own.writer();
    await first.create(log);
    await first.open(log);
    await first.append(log, numbered(25));
    const reading = take(source, log, 0n, 60);
    await first.kill();
    const second = await own.writer();
    await second.open(log);
    await second.append(log, numbered(35, 25));
    assert.deepEqual((await reading).map(said), numbered(60).map(({ value }) => new TextDecoder().decode(value)));
    await source.close();
  });

  if ((options.nodes ?? 0) > 0) nodeTests(rig, writer, test);

  test("it ends", async () => {
    await (await rig())[Symbol.asyncDispose]();
  });
}

function nodeTests(
  rig: () => Promise<WoodpeckerRig>,
  writer: () => Promise<OwnWriter>,
  test: (sentence: string, fn: () => Promise<void>) => void,
): void {
  test("one server may be gone: everything acknowledged is read, and the end is known", async () => {
    const own = await rig();
    const log = "one-gone";
    const writing = await writer();
    await writing.create(log);
    await writing.open(log);
    await writing.append(log, numbered(30));
    let count = 30;
    for (const node of own.nodes) {
      await node.kill();
      // What a server knows to be acknowledged is in its memory: those that were restarted learn it with the next append.
      await writing.append(log, numbered(10, count));
      count += 10;
      const source = await openSource(own);
      const { earliest, latest } = await source.bounds(log, never);
      const found = await take(source, log, earliest, count);
      assert.deepEqual(found.map(said), numbered(count).map(({ value }) => new TextDecoder().decode(value)));
      assert.ok(latest > found.at(-1)!.offset);
      await source.close();
      await node.start();
    }
  });

  test("without enough servers nothing is said of the end, and reading goes on when they are back", async () => {
    const own = await rig();
    const log = "most-gone";
    const writing = await writer();
    await writing.create(log);
    await writing.open(log);
    await writing.append(log, numbered(10));
    const states: (string | undefined)[] = [];
    const source = await openSource(own, (topic, reason) => topic === log && states.push(reason));
    const pages = source.tail(log, 0n, undefined, never)[Symbol.asyncIterator]();
    const found: LogRecord[] = [];
    while (found.length < 10) found.push(...(await pages.next()).value!.records);
    await Promise.all(own.nodes.slice(0, 3).map((node) => node.kill()));
    const coming = pages.next();
    await eventually("it is said that servers are gone", () => states.some((reason) => reason !== undefined));
    assert.match(states[0]!, /of Woodpecker's servers 127\.0\.0\.1:.* do not answer/);
    await assert.rejects(source.bounds(log, never), /do not answer/);
    await Promise.all(own.nodes.slice(0, 3).map((node) => node.start()));
    const page = (await coming).value!;
    assert.deepEqual(page.records, []);
    const next = await own.writer();
    await next.open(log);
    await next.append(log, numbered(10, 10));
    while (found.length < 20) found.push(...(await pages.next()).value!.records);
    assert.deepEqual(found.map(said), numbered(20).map(({ value }) => new TextDecoder().decode(value)));
    assert.equal(states.at(-1), undefined);
    await pages.return!();
    await source.close();
  });

  test("all servers start again while the log is read", async () => {
    const own = await rig();
    const log = "all-again";
    const first = await own.writer();
    await first.create(log);
    await first.open(log);
    await first.append(log, numbered(30));
    const source = await openSource(own);
    const reading = take(source, log, 0n, 60);
    await Promise.all(own.nodes.map((node) => node.kill()));
    await first.kill();
    await Promise.all(own.nodes.map((node) => node.start()));
    const second = await own.writer();
    await second.open(log);
    await second.append(log, numbered(30, 30));
    assert.deepEqual((await reading).map(said), numbered(60).map(({ value }) => new TextDecoder().decode(value)));
    await source.close();
  });
}

suite("embedded in S3", { blocks: 2, ttlSeconds: 1 });
// One more than a segment has, so that one may be gone when the next segment is begun.
suite("four servers", { nodes: 4, bytes: 40, ttlSeconds: 1 });
