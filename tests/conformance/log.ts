/** What every log source must do; each implementation runs it. */
import assert from "node:assert/strict";
import { TidemarkError } from "../../pipeline/errors.ts";
import { after, type LogRecord, type LogSource, type Position } from "../../pipeline/model/mod.ts";
import { positionsOf } from "../../pipeline/positions/mod.ts";
import { isInsert } from "../../sources/log/gen1/is_insert.ts";
import { parseRecords } from "../../sources/log/mod.ts";

export interface LogFixture {
  readonly source: LogSource;
  createTopic(topic: string): Promise<void>;
  deleteTopic(topic: string): Promise<void>;
  append(
    topic: string,
    values: readonly { value: Uint8Array | null; headers?: Record<string, Uint8Array> }[],
  ): Promise<void>;
  /** What lies below `before` goes, as with retention: to the record, or only what the queue keeps in whole pieces before it. */
  deleteRecords(topic: string, before: bigint): Promise<void>;
  /** Place of the record that was appended as the `index`-th, or would be next. Default: the index. */
  position?(index: number): Position;
  /** False: the queue knows no difference between a value that is null and one that is empty. Default true. */
  readonly nulls?: boolean;
  close(): Promise<void>;
}

const text = new TextEncoder();

function placed({ position = BigInt }: LogFixture, count: number, first = 0): Position[] {
  return Array.from({ length: count }, (_, i) => position(first + i));
}

function numbered(count: number, first = 0): { value: Uint8Array }[] {
  return Array.from({ length: count }, (_, i) => ({ value: text.encode(`value ${first + i}`) }));
}

/** The next `count` records from `offset`, then stops. */
async function take(
  source: LogSource,
  topic: string,
  offset: bigint,
  count: number,
  topicId?: string,
): Promise<LogRecord[]> {
  const stop = new AbortController();
  const found: LogRecord[] = [];
  for await (const { records } of source.tail(topic, offset, topicId, stop.signal)) {
    found.push(...records);
    if (found.length >= count) break;
  }
  return found;
}

/** Everything that the topic holds, which are `count` records. */
async function takeAll(source: LogSource, topic: string, count: number): Promise<LogRecord[]> {
  const { earliest } = await source.bounds(topic, new AbortController().signal);
  const found = await take(source, topic, earliest, count);
  assert.equal(found.length, count);
  for (let i = 1; i < count; i++) assert.ok(found[i]!.offset > found[i - 1]!.offset, "places do not grow");
  return found;
}

function offsets(records: readonly LogRecord[]): bigint[] {
  return records.map(({ offset }) => offset);
}

function vector(name: string): LogRecord[] {
  return parseRecords(Deno.readTextFileSync(new URL(`../vectors/${name}.jsonl`, import.meta.url)), name);
}

function asAppended({ value, headers }: LogRecord): { value: Uint8Array | null; headers: Record<string, Uint8Array> } {
  return { value, headers: Object.fromEntries(headers) };
}

function varint(value: number): number[] {
  const bytes: number[] = [];
  for (; value >= 0x80; value >>>= 7) bytes.push(value & 0x7f | 0x80);
  return [...bytes, value];
}

function shown({ offset, headers, value }: LogRecord): unknown {
  const plain = headers.map(([name, bytes]) => [name, new Uint8Array(bytes)]);
  return { offset, headers: plain, value: value === null ? null : new Uint8Array(value) };
}

function lost(thrown: unknown): boolean {
  assert.ok(thrown instanceof TidemarkError, String(thrown));
  assert.equal(thrown.code, "position_lost");
  assert.equal(thrown.exitCode, 14);
  assert.match(thrown.hint ?? "", /on_position_lost/);
  return true;
}

export interface LogSuiteOptions {
  readonly ignore?: boolean;
  /** Keeps topics of several runs apart. */
  readonly prefix?: string;
  /** Where records will stand is known before they are written, and retention removes single records. Default true. */
  readonly counted?: boolean;
  /** Headers are bytes, not text. Default true. */
  readonly binaryHeaders?: boolean;
}

/** Registers the suite. */
export function testLogSource(
  name: string,
  create: () => Promise<LogFixture>,
  options: LogSuiteOptions = {},
): void {
  const { counted = true, binaryHeaders = true } = options;
  const never = new AbortController().signal;
  let serial = 0;
  const test = (sentence: string, body: (fixture: LogFixture, topic: string) => Promise<void>) =>
    Deno.test({
      name: `${name} ${sentence}`,
      ignore: options.ignore ?? false,
      fn: async () => {
        const fixture = await create();
        try {
          await body(fixture, `${options.prefix ?? "topic"}-${++serial}`);
        } finally {
          await fixture.close();
        }
      },
    });

  test("lists topics and tells their bounds", async (fixture, topic) => {
    const { source, createTopic, append } = fixture;
    await createTopic(topic);
    assert.ok((await source.topics(never)).includes(topic));
    const empty = await source.bounds(topic, never);
    assert.equal(empty.earliest, empty.latest);
    await append(topic, numbered(3));
    const bounds = await source.bounds(topic, never);
    const records = await takeAll(source, topic, 3);
    assert.equal(bounds.earliest, records[0]!.offset);
    assert.equal(bounds.latest, counted ? placed(fixture, 1, 3)[0] : after(records[2]!.offset));
    assert.ok(empty.latest <= bounds.earliest);
    if (counted) assert.deepEqual([empty.latest, bounds.earliest], [0n, 0n]);
    assert.equal(bounds.topicId, empty.topicId);
  });

  test("answers not_found for the bounds and the tail of a missing topic", async ({ source }, topic) => {
    const missing = (thrown: unknown) => thrown instanceof TidemarkError && thrown.code === "not_found";
    await assert.rejects(source.bounds(topic, never), missing);
    await assert.rejects(take(source, topic, 0n, 1), missing);
  });

  test("gives every record once and in order, with value and headers to the byte", async (fixture, topic) => {
    const { source, createTopic, append, nulls = true } = fixture;
    await createTopic(topic);
    const bytes = Uint8Array.from({ length: 256 }, (_, i) => i);
    await append(topic, [...numbered(700), { value: null }, { value: new Uint8Array(0) }]);
    const header = binaryHeaders ? bytes : text.encode("Grüße \u{1f30a}");
    await append(topic, [{ value: bytes, headers: { _v: header, empty: new Uint8Array(0) } }]);
    const found = await takeAll(source, topic, 703);
    if (counted) assert.deepEqual(offsets(found), placed(fixture, 703));
    found.slice(0, 700).forEach(({ value }, i) => assert.equal(new TextDecoder().decode(value!), `value ${i}`));
    if (nulls) assert.equal(found[700]!.value, null);
    else assert.equal(found[700]!.value?.length, 0);
    assert.equal(found[701]!.value?.length, 0);
    const last = found[702]!;
    assert.deepEqual(new Uint8Array(last.value!), bytes);
    assert.deepEqual(last.headers.map(([key]) => key).sort(), ["_v", "empty"]);
    assert.deepEqual(new Uint8Array(last.headers.find(([key]) => key === "_v")![1]), header);
    assert.equal(last.topic, topic);
  });

  test("leaves out nothing but inserts where they are not wanted, and keeps the offsets", async (fixture, topic) => {
    const { source, createTopic, append } = fixture;
    await createTopic(topic);
    const records = vector("wal-gen1").concat(vector("wal-gen2"));
    const large = new Uint8Array(700_000).fill(1);
    crypto.getRandomValues(large.subarray(0, 65_536));
    const insert = records.find(({ value }) => value !== null && isInsert({ headers: [], value }))!.value!;
    // An unknown field behind the rows, as a newer writer could add it: one record alone in its batch, large.
    const big = Uint8Array.from([...insert, 0xfa, 0x07, ...varint(large.length), ...large]);
    const few = numbered(3);
    for (const values of [records.map(asAppended), [{ value: big }], few, [{ value: big }], [{ value: large }]]) {
      await append(topic, values);
    }
    const all = await takeAll(source, topic, records.length + 6);
    const others = all.filter((record) => !isInsert(record)).map(shown);
    const found: LogRecord[] = [];
    for await (const page of source.tail(topic, all[0]!.offset, undefined, never, { withoutInserts: true })) {
      found.push(...page.records);
      if (found.at(-1)?.offset === all.at(-1)!.offset) break;
    }
    assert.deepEqual(found.filter((record) => !isInsert(record)).map(shown), others);
    assert.ok(others.length > 60 && others.length <= all.length - 12);
    assert.ok(!found.some(({ offset }) => offset === all[records.length]!.offset), "the large insert was handed out");
  });

  test("begins at the asked offset, not at the batch that holds it", async ({ source, createTopic, append }, topic) => {
    await createTopic(topic);
    await append(topic, numbered(50));
    const all = await takeAll(source, topic, 50);
    assert.deepEqual(offsets(await take(source, topic, all[37]!.offset, 13)), offsets(all.slice(37)));
  });

  test("waits at the end of the log for what comes", async ({ source, createTopic, append }, topic) => {
    await createTopic(topic);
    await append(topic, numbered(2));
    const { latest } = await source.bounds(topic, never);
    const found = take(source, topic, latest, 1);
    await append(topic, numbered(1, 2));
    assert.deepEqual((await found).map(({ value }) => new TextDecoder().decode(value!)), ["value 2"]);
    assert.deepEqual(offsets(await found), offsets((await takeAll(source, topic, 3)).slice(2)));
  });

  test("begins again at every record, and behind it, without a gap or a double", async (fixture, topic) => {
    const { source, createTopic, append } = fixture;
    await createTopic(topic);
    await append(topic, numbered(15));
    await append(topic, numbered(40, 15));
    const all = await takeAll(source, topic, 55);
    for (let i = 0; i < 55; i += 3) {
      assert.deepEqual(offsets(await take(source, topic, all[i]!.offset, 55 - i)), offsets(all.slice(i)));
      if (i < 54) {
        const behind = await take(source, topic, after(all[i]!.offset), 54 - i);
        assert.deepEqual(offsets(behind), offsets(all.slice(i + 1)));
      }
    }
  });

  test("says where the log ends while nothing comes", async ({ source, createTopic, append }, topic) => {
    await createTopic(topic);
    await append(topic, numbered(3));
    const all = await takeAll(source, topic, 3);
    const found: LogRecord[] = [];
    for await (const { records, next, highWatermark } of source.tail(topic, all[0]!.offset, undefined, never)) {
      found.push(...records);
      assert.ok(next <= highWatermark);
      if (next < highWatermark) continue;
      assert.ok(next > all[2]!.offset);
      assert.deepEqual(offsets(found), offsets(all));
      break;
    }
  });

  test("throws position_lost below the oldest record", async (fixture, topic) => {
    const { source, createTopic, append, deleteRecords } = fixture;
    await createTopic(topic);
    await append(topic, numbered(20));
    const all = await takeAll(source, topic, 20);
    await deleteRecords(topic, all[10]!.offset);
    const { earliest } = await source.bounds(topic, never);
    const at = all.findIndex(({ offset }) => offset === earliest);
    assert.ok(counted ? at === 10 : at > 0 && at <= 10, `begins at record ${at}`);
    const below = all[at - 1]!.offset;
    await assert.rejects(take(source, topic, below, 1), lost);
    await assert.rejects(take(source, topic, all[0]!.offset, 1), lost);
    const { format } = positionsOf(source.queue);
    const sentences = [`, but ${format(below)} is wanted`, `does not hold ${format(below)} any more`];
    await assert.rejects(
      take(source, topic, below, 1),
      (thrown) => thrown instanceof Error && sentences.some((sentence) => thrown.message.includes(sentence)),
    );
    assert.equal((await take(source, topic, earliest, 20 - at)).length, 20 - at);
  });

  test("throws position_lost above the end", async (fixture, topic) => {
    const { source, createTopic, append } = fixture;
    await createTopic(topic);
    await append(topic, numbered(5));
    const { latest } = await source.bounds(topic, never);
    await assert.rejects(take(source, topic, counted ? placed(fixture, 1, 6)[0]! : latest + 1n, 1), lost);
  });

  test("throws position_lost for a topic of another identity", async ({ source, createTopic, append }, topic) => {
    await createTopic(topic);
    await append(topic, numbered(5));
    const { topicId, earliest } = await source.bounds(topic, never);
    assert.equal((await take(source, topic, earliest, 5, topicId)).length, 5);
    await assert.rejects(take(source, topic, earliest, 1, "another"), lost);
  });

  test("throws position_lost when the topic is deleted and created again while it is read", async (fixture, topic) => {
    const { source, createTopic, deleteTopic, append } = fixture;
    await createTopic(topic);
    await append(topic, numbered(5));
    const { earliest } = await source.bounds(topic, never);
    const reading = source.tail(topic, earliest, undefined, never)[Symbol.asyncIterator]();
    for (let read = 0; read < 5;) read += (await reading.next()).value.records.length;
    await deleteTopic(topic);
    await createTopic(topic);
    await append(topic, numbered(50, 100));
    const rest = async () => {
      while (true) {
        const { value } = await reading.next();
        assert.deepEqual(value.records, [], "records of the new log as if they were the old one's");
      }
    };
    await assert.rejects(rest(), lost);
  });

  test("ends when it is aborted, also while it waits", async ({ source, createTopic }, topic) => {
    await createTopic(topic);
    const stop = new AbortController();
    const { earliest } = await source.bounds(topic, never);
    const reading = (async () => {
      for await (const _ of source.tail(topic, earliest, undefined, stop.signal)) { /* waits */ }
    })();
    await source.bounds(topic, never);
    stop.abort();
    await assert.rejects(reading, (thrown: unknown) => (thrown as Error).name === "AbortError");
  });

  test("reads several topics at once, each in its order", async (fixture, topic) => {
    const { source, createTopic, append } = fixture;
    const topics = ["a", "b", "c"].map((suffix) => `${topic}-${suffix}`);
    for (const [i, each] of topics.entries()) {
      await createTopic(each);
      await append(each, numbered(300, i * 1000));
    }
    const found = await Promise.all(topics.map((each) => takeAll(source, each, 300)));
    found.forEach((records, i) => {
      assert.equal(new TextDecoder().decode(records[299]!.value!), `value ${i * 1000 + 299}`);
      if (counted) assert.deepEqual(offsets(records), placed(fixture, 300));
    });
  });

  test("says in check that it is reached", async ({ source, createTopic }, topic) => {
    await createTopic(topic);
    const lines = await source.check(never);
    assert.equal(lines[0]?.ok, "ok");
  });
}
