import assert from "node:assert/strict";
import { lostPositions, neededFrom } from "../../../../pipeline/flow/tail/pchannels.ts";
import { newCollectionState, newSinkState, type VchannelState } from "../../../../pipeline/flow/state/run_state.ts";
import type { Collection, LogSource } from "../../../../pipeline/model/mod.ts";

function collection(id: bigint, begins: Readonly<Record<string, bigint>>): Collection {
  const pchannels = Object.keys(begins);
  const vchannels = pchannels.map((pchannel, i) => `${pchannel}_${id}v${i}`);
  return { id, pchannels, vchannels, startOffsets: new Map(Object.entries(begins)) } as unknown as Collection;
}

function cut(pchannel: string, collectionId: bigint, offset: bigint, ts: bigint): VchannelState {
  return { vchannel: `${pchannel}_${collectionId}v0`, pchannel, collectionId, offset, ts, held: true };
}

Deno.test("neededFrom begins where the sink goes on, whatever it does not know behind that", () => {
  const sink = newSinkState();
  sink.positions.set("p", { offset: 50n, tick: 500n });
  assert.deepEqual(neededFrom(sink, [collection(1n, { p: 7n })]), new Map([["p", { offset: 50n, tick: 500n }]]));
});

Deno.test("neededFrom begins with the first collection that the sink has nothing of, also beside a later cut", () => {
  const sink = newSinkState();
  sink.vchannels.set("p_1v0", cut("p", 1n, 90n, 900n));
  const known = collection(1n, { p: 2n });
  assert.deepEqual(neededFrom(sink, [known]), new Map([["p", { offset: 90n, tick: 900n }]]));
  const both = neededFrom(sink, [known, collection(2n, { p: 60n, q: 8n }), collection(3n, { p: 70n })]);
  assert.deepEqual(both, new Map([["p", { offset: 60n, tick: 0n }], ["q", { offset: 8n, tick: 0n }]]));
});

Deno.test("neededFrom needs nothing of a collection that was given up", () => {
  const sink = newSinkState();
  const name = { db: "default", name: "c" };
  sink.collections.set(1n, newCollectionState(1n, name, name, ["p_1v0"], "dropped"));
  assert.deepEqual(neededFrom(sink, [collection(1n, { p: 3n })]), new Map());
});

/** Of a queue whose topics are known by what was read of them: `same` says whether a topic is still the one. */
function witnessed(same: boolean, asked: (string | undefined)[]): LogSource {
  return {
    queue: "pulsar",
    bounds: (_topic: string, _signal: AbortSignal, known?: string) => {
      asked.push(known);
      return Promise.resolve({ earliest: 0n, latest: 90n, topicId: same && known !== "" ? known! : "made up now" });
    },
  } as Partial<LogSource> as LogSource;
}

Deno.test("lostPositions lets the queue say whether a topic is the one that was read, and takes it as it is where nobody knows", async () => {
  const signal = new AbortController().signal;
  const points = new Map([["p", { offset: 5n, tick: 0n }]]);
  const asked: (string | undefined)[] = [];
  // Never seen, and by a state of before topics of this queue were known by anything.
  for (const topicIds of [new Map(), new Map([["p", ""]])]) {
    assert.deepEqual(await lostPositions(witnessed(false, asked), points, topicIds, signal), []);
    assert.deepEqual(topicIds, new Map([["p", "made up now"]]));
  }
  const known = new Map([["p", "3:4 seal"]]);
  assert.deepEqual(await lostPositions(witnessed(true, asked), points, known, signal), []);
  assert.deepEqual(known, new Map([["p", "3:4 seal"]]));
  const [lost] = await lostPositions(witnessed(false, asked), points, known, signal);
  assert.equal(lost?.error.code, "position_lost");
  assert.deepEqual(asked, ["", "", "3:4 seal", "3:4 seal"]);
});
