import assert from "node:assert/strict";
import type { LogFetch, LogRecord, LogSource, ResumePoint } from "../../../pipeline/model/mod.ts";
import { inspectLog, inspectRecords, type Line, parseRecords } from "../../../sources/log/mod.ts";

const folder = new URL("../../vectors/", import.meta.url);

function records(name: string): LogRecord[] {
  return parseRecords(Deno.readTextFileSync(new URL(`${name}.jsonl`, folder)), `${name}.jsonl`);
}

function expected(name: string): Line[] {
  const text = Deno.readTextFileSync(new URL(`${name}.expected.jsonl`, folder));
  return text.trim().split("\n").map((line) => JSON.parse(line));
}

function headerOf(headers: LogRecord["headers"], name: string): string | undefined {
  const found = headers.find(([key]) => key === name);
  return found === undefined ? undefined : new TextDecoder().decode(found[1]);
}

/** `must` is advice in words, `seq` a place in one of many valid orders; one vector leaves out `type`. */
function comparable({ seq: _seq, must, type: _type, ...rest }: Line): string {
  return JSON.stringify({ ...rest, must: must !== undefined });
}

function channelsOf(line: Line): string[] {
  return (line.channels ?? [line.channel]) as string[];
}

/** Where order is free: within one transaction, and at one timestamp of generation 1, but for deletes before inserts. */
function group(line: Line): string {
  return `${line.txn_id ?? ""}/${line.ts}/${line.event}`;
}

/** The same events, and on every channel in the same order. */
function assertSameEvents(actual: readonly Line[], wanted: readonly Line[]): void {
  assert.deepEqual(actual.map(comparable).sort(), wanted.map(comparable).sort());
  const channels = new Set(wanted.flatMap(channelsOf));
  for (const channel of channels) {
    const order = (lines: readonly Line[]) => lines.filter((line) => channelsOf(line).includes(channel)).map(group);
    assert.deepEqual(order(actual), order(wanted), `order on ${channel}`);
  }
}

const NAMES = [
  "wal-gen1",
  "wal-gen1-v25",
  "wal-gen2",
  "wal-case-upgrade",
  "wal-case-unknown-type",
  "wal-case-unconfirmed-tail",
];

for (const name of NAMES) {
  Deno.test(`inspectRecords gives the events of ${name}, each channel in its order`, () => {
    const lines = inspectRecords(records(name));
    assertSameEvents(lines, expected(name));
    assert.deepEqual(lines.map((line) => line.seq), lines.map((_, i) => i + 1));
  });
}

Deno.test("inspectRecords gives the same events whichever topic is read first", () => {
  for (const name of NAMES) {
    const topics = Map.groupBy(records(name), (record) => record.topic);
    const reversed = [...topics.values()].reverse().flat();
    assertSameEvents(inspectRecords(reversed), expected(name));
  }
});

Deno.test("inspectRecords says what it passed over in wal-gen1", () => {
  const notes: string[] = [];
  inspectRecords(records("wal-gen1"), { onNote: (note) => notes.push(note) });
  assert.equal(notes.length, 4);
  assert.match(notes[0]!, /Record 19 of by-dev-rootcoord-dml_0 has no value/);
  assert.match(notes[1]!, /Record 20 of by-dev-rootcoord-dml_0 has no header/);
  assert.match(notes[2]!, /Record 21 .* type 9876/);
  assert.match(notes[3]!, /Record 82 of by-dev-rootcoord-dml_1 is a copy of an earlier one/);
});

Deno.test("inspectRecords emits from each restart point of wal-gen2 exactly what is above it", () => {
  interface Restart {
    name: string;
    checkpoints: Record<string, { offset: string; tt: string }>;
    expect_seq: number[];
  }
  const restarts: Restart[] = JSON.parse(Deno.readTextFileSync(new URL("wal-gen2.resume.json", folder)));
  const all = expected("wal-gen2");
  for (const restart of restarts) {
    const from = new Map<string, ResumePoint>(
      Object.entries(restart.checkpoints).map((
        [topic, { offset, tt }],
      ) => [topic, { offset: BigInt(offset), tick: BigInt(tt) }]),
    );
    const lines = inspectRecords(records("wal-gen2"), { from });
    const wanted = all.filter((line) => restart.expect_seq.includes(line.seq as number));
    // A change of which one copy was passed before has only the others' channels.
    const key = (line: Line) => line.broadcast_id ?? comparable(line);
    assert.deepEqual(lines.map(key).sort(), wanted.map(key).sort(), restart.name);
  }
});

Deno.test("inspectRecords shows nothing of a channel behind a record of an unknown version or of encrypted rows", () => {
  const all = records("wal-case-unknown-type");
  const strange = all.findIndex(({ headers }) => headerOf(headers, "_t") === "950");
  const [before, after] = [all[strange - 1]!, all[strange + 1]!];
  const { headers } = all.find((record) => headerOf(record.headers, "_t") === "2")!;
  const bytes = (value: string) => new TextEncoder().encode(value);
  for (const change of [["_v", "3"], ["_ch", "CAE="]] as const) {
    const record: LogRecord = {
      ...all[strange]!,
      value: after.value,
      headers: [
        ...headers.filter(([name]) => name !== change[0] && name !== "_tt"),
        ["_tt", bytes(headerOf(all[strange]!.headers, "_tt")!)],
        [change[0], bytes(change[1])],
      ],
    };
    const lines = inspectRecords(all.with(strange, record));
    assertSameEvents(lines, expected("wal-case-unknown-type"));
  }
  assert.equal(headerOf(before.headers, "_t"), "1");
});

Deno.test("inspectRecords replaces passwords in requests where it is asked to", () => {
  const shown = JSON.stringify(inspectRecords(records("wal-gen1"), { redact: true }));
  assert.ok(!shown.includes("cDRzc3dvcmQ="));
  assert.ok(shown.includes('"password":"***"'));
});

Deno.test("parseRecords names the line that is no record", () => {
  assert.throws(
    () => parseRecords('{"topic":"t","offset":1}\n{"topic":"t"}', "x.jsonl"),
    /x\.jsonl:2 is no log record/,
  );
});

Deno.test("inspectLog says why it could not go on, also where a channel cannot be closed", async () => {
  const stuck = (topic: string): AsyncIterable<LogFetch> => ({
    [Symbol.asyncIterator]: () => ({
      next: () =>
        topic === "broken"
          ? Promise.reject(new Error("the log is damaged"))
          : Promise.resolve({ done: false, value: { records: [], next: 0n, highWatermark: 9n } }),
      return: () => Promise.reject(new Error(`${topic} cannot be closed`)),
    }),
  });
  const log = {
    bounds: () => Promise.resolve({ earliest: 0n, latest: 9n, topicId: "a" }),
    tail: stuck,
  } as unknown as LogSource;
  const lines = inspectLog(log, { topics: ["well", "broken"], follow: true }, new AbortController().signal);
  await assert.rejects(lines.next(), /the log is damaged/);
});
