/** What every log source must do; each implementation runs it. */
import assert from "node:assert/strict";
import { TidemarkError } from "../../pipeline/errors.ts";
import type { LogRecord, LogSource, Position } from "../../pipeline/model/mod.ts";
import { isInsert } from "../../sources/log/gen1/is_insert.ts";
import { parseRecords } from "../../sources/log/mod.ts";
import { patience } from "../stack/patience.ts";

export interface LogFixture {
  readonly source: LogSource;
  createTopic(topic: string): Promise<void>;
  deleteTopic(topic: string): Promise<void>;
  append(
    topic: string,
    values: readonly { value: Uint8Array | null; headers?: Record<string, Uint8Array> }[],
  ): Promise<void>;
  /** Everything below `before` goes, as with retention. */
  deleteRecords(topic: string, before: bigint): Promise<void>;
  /** Place of the record that was appended as the `index`-th, or would be next. Default: the index. */
  position?(index: number): Position;
  /** A place as the log's errors write it. Default: the number. */
  format?(position: Position): string;
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

/** Registers the suite. `prefix` keeps topics of several runs apart. */
export function testLogSource(
  name: string,
  create: () => Promise<LogFixture>,
  options: { readonly ignore?: boolean; readonly prefix?: string } = {},
): void {
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
    assert.deepEqual([empty.earliest, empty.latest], [0n, 0n]);
    await append(topic, numbered(3));
    const bounds = await source.bounds(topic, never);
    assert.deepEqual([bounds.earliest, bounds.latest], [0n, placed(fixture, 1, 3)[0]]);
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
    await append(topic, [{ value: bytes, headers: { _v: bytes, empty: new Uint8Array(0) } }]);
    const found = await take(source, topic, 0n, 703);
    assert.deepEqual(found.map((record) => record.offset), placed(fixture, 703));
    assert.equal(new TextDecoder().decode(found[699]!.value!), "value 699");
    if (nulls) assert.equal(found[700]!.value, null);
    else assert.equal(found[700]!.value?.length, 0);
    assert.equal(found[701]!.value?.length, 0);
    const last = found[702]!;
    assert.deepEqual(new Uint8Array(last.value!), bytes);
    assert.deepEqual(last.headers.map(([key]) => key).sort(), ["_v", "empty"]);
    assert.deepEqual(new Uint8Array(last.headers.find(([key]) => key === "_v")![1]), bytes);
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
    const all = await take(source, topic, 0n, records.length + 6);
    const others = all.filter((record) => !isInsert(record)).map(shown);
    const found: LogRecord[] = [];
    const [last] = placed(fixture, 1, records.length + 5);
    for await (const page of source.tail(topic, 0n, undefined, never, { withoutInserts: true })) {
      found.push(...page.records);
      if (found.at(-1)?.offset === last) break;
    }
    assert.deepEqual(found.filter((record) => !isInsert(record)).map(shown), others);
    assert.ok(others.length > 60 && others.length <= all.length - 12);
    const [large1] = placed(fixture, 1, records.length);
    assert.ok(!found.some(({ offset }) => offset === large1), "the large insert was handed out");
  });

  test("begins at the asked offset, not at the batch that holds it", async (fixture, topic) => {
    const { source, createTopic, append } = fixture;
    await createTopic(topic);
    await append(topic, numbered(50));
    const wanted = placed(fixture, 13, 37);
    const found = await take(source, topic, wanted[0]!, 13);
    assert.deepEqual(found.map((record) => record.offset), wanted);
  });

  test("waits at the end of the log for what comes", async (fixture, topic) => {
    const { source, createTopic, append } = fixture;
    await createTopic(topic);
    await append(topic, numbered(2));
    const wanted = placed(fixture, 1, 2);
    const found = take(source, topic, wanted[0]!, 1);
    await append(topic, numbered(1, 2));
    assert.deepEqual((await found).map((record) => record.offset), wanted);
  });

  test("throws position_lost below the oldest record", async (fixture, topic) => {
    const { source, createTopic, append, deleteRecords } = fixture;
    await createTopic(topic);
    await append(topic, numbered(20));
    const [before, first] = placed(fixture, 2, 9) as [Position, Position];
    await deleteRecords(topic, first);
    const { earliest, latest } = await source.bounds(topic, never);
    assert.equal(earliest, first);
    await assert.rejects(take(source, topic, before, 1), lost);
    const { format = String } = fixture;
    const sentence = `holds ${format(first)} to ${format(latest)}, but ${format(before)} is wanted`;
    await assert.rejects(
      take(source, topic, before, 1),
      (thrown) => thrown instanceof Error && thrown.message.includes(sentence),
    );
    assert.equal((await take(source, topic, first, 10)).length, 10);
  });

  test("throws position_lost above the end", async (fixture, topic) => {
    const { source, createTopic, append } = fixture;
    await createTopic(topic);
    await append(topic, numbered(5));
    await assert.rejects(take(source, topic, placed(fixture, 1, 6)[0]!, 1), lost);
  });

  test("throws position_lost for a topic of another identity", async ({ source, createTopic, append }, topic) => {
    await createTopic(topic);
    await append(topic, numbered(5));
    const { topicId } = await source.bounds(topic, never);
    assert.equal((await take(source, topic, 0n, 5, topicId)).length, 5);
    await assert.rejects(take(source, topic, 0n, 1, "another"), lost);
  });

  test("throws position_lost when the topic is deleted and created again while it is read", async (fixture, topic) => {
    const { source, createTopic, deleteTopic, append } = fixture;
    await createTopic(topic);
    await append(topic, numbered(5));
    const stop = new AbortController();
    const reading = source.tail(topic, 0n, undefined, stop.signal)[Symbol.asyncIterator]();
    assert.equal((await reading.next()).value.records.length, 5);
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

  test("ends at once when it is aborted, also while it waits", async ({ source, createTopic }, topic) => {
    await createTopic(topic);
    const stop = new AbortController();
    const reading = (async () => {
      for await (const _ of source.tail(topic, 0n, undefined, stop.signal)) { /* waits */ }
    })();
    await source.bounds(topic, never);
    const begin = performance.now();
    stop.abort();
    await assert.rejects(reading, (thrown: unknown) => (thrown as Error).name === "AbortError");
    assert.ok(performance.now() - begin < 400 * patience(), "took as long as a fetch waits");
  });

  test("reads several topics at once, each in its order", async (fixture, topic) => {
    const { source, createTopic, append } = fixture;
    const topics = ["a", "b", "c"].map((suffix) => `${topic}-${suffix}`);
    for (const [i, each] of topics.entries()) {
      await createTopic(each);
      await append(each, numbered(300, i * 1000));
    }
    const found = await Promise.all(topics.map((each) => take(source, each, 0n, 300)));
    found.forEach((records, i) => {
      assert.equal(new TextDecoder().decode(records[299]!.value!), `value ${i * 1000 + 299}`);
      assert.deepEqual(records.map((record) => record.offset), placed(fixture, 300));
    });
  });

  test("says in check that it is reached", async ({ source, createTopic }, topic) => {
    await createTopic(topic);
    const lines = await source.check(never);
    assert.equal(lines[0]?.ok, "ok");
  });
}
