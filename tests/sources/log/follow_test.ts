import assert from "node:assert/strict";
import type { CreditGate, LogEvent, LogRecord, TickGroup } from "../../../pipeline/model/mod.ts";
import { type FollowOptions, followPchannel, type LogOddity, parseRecords } from "../../../sources/log/mod.ts";
import { FakeLog } from "../../fakes/log.ts";

const P0 = "by-dev-rootcoord-dml_0";
const P1 = "by-dev-rootcoord-dml_1";

function vector(name: string): LogRecord[] {
  const path = new URL(`../../vectors/${name}.jsonl`, import.meta.url);
  return parseRecords(Deno.readTextFileSync(path), name);
}

function loaded(options: { maxRecords?: number } = {}): FakeLog {
  const log = new FakeLog(options);
  log.load(vector("wal-gen1"));
  return log;
}

/** A gate that counts, and that never lets more than `limit` be held where it is given one. */
class Gate implements CreditGate {
  held = 0;
  most = 0;
  readonly #limit: number;
  #waiting: (() => void)[] = [];

  constructor(limit = Infinity) {
    this.#limit = limit;
  }

  async take(bytes: number, signal: AbortSignal): Promise<void> {
    while (this.held > 0 && this.held + bytes > this.#limit) {
      signal.throwIfAborted();
      await new Promise<void>((resolve, reject) => {
        this.#waiting.push(resolve);
        signal.addEventListener("abort", () => reject(signal.reason), { once: true });
      });
    }
    this.held += bytes;
    this.most = Math.max(this.most, this.held);
  }

  give(bytes: number): void {
    this.held -= bytes;
    assert.ok(this.held >= 0, "more credit given back than was taken");
    for (const wake of this.#waiting.splice(0)) wake();
  }
}

/** Groups up to the last tick of the vector. */
async function groupsOf(
  log: FakeLog,
  options: Partial<FollowOptions> & { pchannel: string },
  each: (group: TickGroup) => void = () => {},
): Promise<TickGroup[]> {
  const end = options.pchannel === P0 ? 28n : 90n;
  const found: TickGroup[] = [];
  const follow = followPchannel(
    log,
    { from: { offset: options.pchannel === P0 ? 7n : 70n, tick: 0n }, topicId: undefined, ...options },
    new AbortController().signal,
  );
  for await (const group of follow) {
    found.push(group);
    each(group);
    if (group.resume.offset >= end) break;
  }
  return found;
}

function shown(groups: readonly TickGroup[]): string[] {
  return groups.flatMap((group) => group.events.map((event) => `${event.kind}@${event.ts}#${event.offset}`));
}

Deno.test("followPchannel gives the same groups whatever a fetch brings", async () => {
  const whole = await groupsOf(loaded(), { pchannel: P0 });
  assert.equal(whole.length, 8);
  for (const maxRecords of [1, 2, 3, 7]) {
    assert.deepEqual(shown(await groupsOf(loaded({ maxRecords }), { pchannel: P0 })), shown(whole));
  }
});

Deno.test("followPchannel from any group's resume point gives the events behind it", async () => {
  for (const pchannel of [P0, P1]) {
    const whole = await groupsOf(loaded(), { pchannel });
    for (const [i, { resume }] of whole.entries()) {
      const again = await groupsOf(loaded({ maxRecords: 2 }), { pchannel, from: resume });
      assert.deepEqual(shown(again), shown(whole.slice(i + 1)));
    }
  }
});

Deno.test("followPchannel gives all credit back once its groups are acknowledged", async () => {
  for (const maxRecords of [1, 4, 100]) {
    const gate = new Gate();
    const groups = await groupsOf(loaded({ maxRecords }), { pchannel: P0, gate }, (group) => {
      gate.give(group.bytes);
    });
    assert.ok(groups.some((group) => group.bytes > 0));
    assert.equal(gate.held, 0);
  }
});

Deno.test("followPchannel gives the credit of unwanted events back at once", async () => {
  const gate = new Gate();
  const groups = await groupsOf(loaded(), { pchannel: P1, gate, select: () => false });
  assert.deepEqual(groups.map((group) => [group.events.length, group.bytes]), groups.map(() => [0, 0]));
  assert.equal(gate.held, 0);
});

Deno.test("followPchannel moves on under a small limit as long as its groups are acknowledged", async () => {
  const gate = new Gate(4000);
  await groupsOf(loaded({ maxRecords: 1 }), { pchannel: P0, gate }, (group) => gate.give(group.bytes));
  assert.equal(gate.held, 0);
  assert.ok(gate.most <= 4000, `${gate.most} bytes were held`);
});

Deno.test("followPchannel gives back what it buffers when it is left in the middle", async () => {
  const gate = new Gate();
  const follow = followPchannel(
    loaded(),
    { pchannel: P1, from: { offset: 70n, tick: 0n }, topicId: undefined, gate },
    new AbortController().signal,
  );
  for await (const group of follow) {
    gate.give(group.bytes);
    if (group.events.length > 0) break;
  }
  assert.equal(gate.held, 0);
});

Deno.test("followPchannel stops with the signal's reason while it waits for credit", async () => {
  const stop = new AbortController();
  const gate = new Gate(1);
  const follow = followPchannel(
    loaded({ maxRecords: 3 }),
    { pchannel: P0, from: { offset: 7n, tick: 0n }, topicId: undefined, gate },
    stop.signal,
  );
  await follow.next();
  await follow.next();
  const waiting = (async () => {
    for await (const _ of follow) { /* never acknowledged */ }
  })();
  setTimeout(() => stop.abort(), 5);
  await assert.rejects(waiting, { name: "AbortError" });
});

Deno.test("followPchannel with records hands out every record once", async () => {
  const gate = new Gate();
  const groups = await groupsOf(loaded({ maxRecords: 2 }), { pchannel: P0, gate, records: true }, (group) => {
    gate.give(group.bytes);
  });
  assert.deepEqual(
    groups.flatMap((group) => group.records.map((record) => record.offset)),
    Array.from({ length: 22 }, (_, i) => BigInt(7 + i)),
  );
  assert.equal(gate.held, 0);
});

Deno.test("followPchannel copies the few wanted columns out of a large fetch", async () => {
  const wanted = (event: LogEvent) => event.kind === "insert" && event.offset === 10n;
  const [one] = (await groupsOf(loaded(), { pchannel: P0, select: wanted })).flatMap((group) => group.events);
  const [same] = (await groupsOf(loaded(), { pchannel: P0 })).flatMap((group) => group.events).filter(wanted);
  assert.ok(one?.kind === "insert" && same?.kind === "insert");
  assert.deepEqual(one.fieldsData, same.fieldsData);
  assert.equal(one.fieldsData[0]!.buffer.byteLength, one.fieldsData[0]!.length);
});

Deno.test("followPchannel tells what a healthy log would not hold", async () => {
  const oddities: LogOddity[] = [];
  await groupsOf(loaded(), { pchannel: P0, onOddity: (oddity) => oddities.push(oddity) });
  await groupsOf(loaded(), { pchannel: P1, onOddity: (oddity) => oddities.push(oddity) });
  assert.deepEqual(oddities.map(({ kind, offset }) => [kind, offset]), [
    ["skipped", 19n],
    ["skipped", 20n],
    ["duplicates", 82n],
  ]);
});

Deno.test("followPchannel names the vchannel of drops from what it read, or asks", async () => {
  const vchannels = (groups: TickGroup[]) =>
    groups.flatMap((group) => group.events).filter((event) => event.kind === "ddl").map((event) => event.vchannel);
  const known = `${P0}_445001000000000100v0`;
  assert.deepEqual(vchannels(await groupsOf(loaded(), { pchannel: P0 })), [known, known, known, known]);
  const late = { pchannel: P0, from: { offset: 23n, tick: 0n } };
  assert.deepEqual(vchannels(await groupsOf(loaded(), late)), ["", "", ""]);
  const asked = await groupsOf(loaded(), {
    ...late,
    vchannelOf: (id) => id === 445001000000000100n ? known : undefined,
  });
  assert.deepEqual(vchannels(asked), [known, known, known]);
});

Deno.test("followPchannel says that the log ends for each fetch that brings nothing, and for how long", async () => {
  const log = new FakeLog({ waitMs: 1 });
  log.load(vector("wal-gen2").filter(({ topic }) => topic === P0));
  const { earliest, latest } = await log.bounds(P0, new AbortController().signal);
  let now = 0;
  const ends: TickGroup[] = [];
  const follow = followPchannel(
    log,
    { pchannel: P0, from: { offset: earliest, tick: 0n }, topicId: undefined, now: () => now += 100 },
    new AbortController().signal,
  );
  for await (const group of follow) {
    if (group.end !== undefined && ends.push(group) === 3) break;
  }
  assert.deepEqual(ends.map(({ end }) => end!.offset), [latest, latest, latest]);
  assert.ok(ends[0]!.end!.sinceMs < ends[1]!.end!.sinceMs && ends[1]!.end!.sinceMs < ends[2]!.end!.sinceMs);
  assert.equal(ends[0]!.resume.offset, latest);
});

Deno.test("followPchannel takes a promise for a tick where the log ends, and not before", async () => {
  const log = new FakeLog({ maxRecords: 3, waitMs: 1 });
  log.load(vector("wal-case-unconfirmed-tail").filter(({ topic }) => topic === P0));
  const { earliest, latest } = await log.bounds(P0, new AbortController().signal);
  const promised = 460000000000000000n;
  const ticks: bigint[] = [];
  let events = 0;
  const follow = followPchannel(
    log,
    { pchannel: P0, from: { offset: earliest, tick: 0n }, topicId: undefined, promised },
    new AbortController().signal,
  );
  for await (const group of follow) {
    if (group.end !== undefined) break;
    ticks.push(group.tick);
    events += group.events.length;
    if (group.tick === promised) assert.deepEqual(group.resume, { offset: latest, tick: promised });
  }
  assert.equal(ticks.at(-1), promised);
  // The copies of a creation, an insert, and another one that has no tick behind it.
  assert.equal(events, 4);
});

Deno.test("followPchannel tells what the topic is known by before it hands out what was read under it", async () => {
  const log = loaded({ maxRecords: 5 });
  const told: string[] = [];
  const tail: FakeLog["tail"] = async function* (...request) {
    for await (const page of log.tail(...request)) yield { ...page, topicId: `behind ${page.next}` };
  };
  const identify = (id: string) => void told.push(id);
  const signal = new AbortController().signal;
  const request = { pchannel: P0, from: { offset: 7n, tick: 0n }, topicId: undefined, identify };
  for await (const { resume, tick } of followPchannel(Object.assign(Object.create(log), { tail }), request, signal)) {
    if (tick === 0n) continue;
    assert.ok(BigInt(told.at(-1)!.replace("behind ", "")) > resume.offset);
    break;
  }
  assert.ok(told.length > 0);
});
