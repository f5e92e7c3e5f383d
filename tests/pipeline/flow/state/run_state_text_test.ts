import assert from "node:assert/strict";
import fc from "fast-check";
import { formatJson, type Json } from "../../../../pipeline/json.ts";
import { RememberedTexts } from "../../../../pipeline/flow/state/remembered_texts.ts";
import {
  newCollectionState,
  newRunState,
  newSinkState,
  type RunState,
} from "../../../../pipeline/flow/state/run_state.ts";
import { formatRunState } from "../../../../pipeline/flow/state/run_state_text.ts";

/** All of it at once. */
function plainText(state: RunState): string {
  return formatJson({
    ...state,
    restore: state.restore ?? null,
    topicIds: Object.fromEntries(state.topicIds),
    sinks: Object.fromEntries([...state.sinks].map(([name, sink]) => [name, {
      collections: [...sink.collections.values()].map(({ partitionsRefused: _, ...own }) => ({
        ...own,
        refusedRows: [...own.refusedRows],
        made: [...own.made],
      })),
      databases: [...sink.databases].map(([id, name]) => ({ id, name })),
      positions: Object.fromEntries(sink.positions),
      vchannels: [...sink.vchannels.values()],
      ...(sink.bases === undefined ? {} : { bases: sink.bases }),
      made: [...sink.made],
      extra: sink.extra,
    }])),
  }, 1);
}

const SINKS = ["replica", "vault"];
const id = fc.bigInt({ min: 0n, max: 4n });
const word = fc.constantFrom("a", "b\n c", 'd "e"', "");

type Change = (state: RunState) => void;

function inCollection(change: (own: ReturnType<typeof newCollectionState>, word: string, big: bigint) => void) {
  return fc.tuple(fc.constantFrom(...SINKS), id, word, fc.bigInt({ min: 0n, max: 1n << 62n })).map((
    [sink, id, word, big],
  ): Change =>
  (state) => {
    const own = state.sinks.get(sink)?.collections.get(id);
    if (own !== undefined) change(own, word, big);
  });
}

const change: fc.Arbitrary<Change> = fc.oneof(
  fc.tuple(fc.constantFrom(...SINKS), id, word).map(([name, id, word]): Change => (state) => {
    const sink = state.sinks.get(name) ?? newSinkState();
    state.sinks.set(name, sink);
    sink.collections.set(id, newCollectionState(id, { db: "x", name: word }, { db: "y", name: word }, ["v"], "base"));
  }),
  fc.tuple(fc.constantFrom(...SINKS), id).map(([name, id]): Change => (state) => {
    state.sinks.get(name)?.collections.delete(id);
  }),
  // Where they stand, as the flow does it.
  inCollection((own, _word, big) => own.segmentsDone.push(big)),
  inCollection((own, _word, big) => own.rows += big),
  inCollection((own) => own.segmentsDone.length = 0),
  inCollection((own, word) => own.made.add(word)),
  inCollection((own, word) => own.blocked = word === "" ? undefined : word),
  inCollection((own, word) => (own.target as { name: string }).name = word),
  inCollection((own) => own.phase = "tail"),
  inCollection((own, word, big) => {
    const unit = own.importUnits[0];
    if (unit !== undefined) (unit as { rows: bigint }).rows = big;
    else {
      own.importUnits.push(
        {
          partition: word,
          segments: [big],
          inserts: "",
          deletes: "",
          endMs: big,
          rows: 0n,
          bytes: 0n,
          phase: "planned",
          task: 0n,
        } as unknown as typeof own.importUnits[0] & object,
      );
    }
  }),
  inCollection((own, word, big) =>
    own.refusedRows.set({
      partitionId: 1n,
      partition: word,
      ts: big,
      position: "p@1",
      reason: word,
      file: "",
      key: big,
      columns: ["AQI="],
    })
  ),
  fc.tuple(fc.constantFrom(...SINKS), id, fc.bigInt()).map(([name, id, ts]): Change => (state) => {
    const vchannels = state.sinks.get(name)?.vchannels;
    const own = vchannels?.get(`v${id}`);
    if (own !== undefined) own.ts = ts;
    else vchannels?.set(`v${id}`, { vchannel: `v${id}`, pchannel: "p", collectionId: id, offset: 1n, ts, held: false });
  }),
  fc.tuple(fc.array(word), fc.bigInt()).map(([names, tick]): Change => (state) => {
    const collections = names.map((name) => ({
      name,
      tick,
      agreed: [],
      blockedReason: name === "" ? undefined : name,
    }));
    state.status = { phase: "tail", collections, channels: [] } as unknown as Json;
  }),
);

Deno.test("formatRunState writes what it wrote before where nothing has changed, and never where something has", () => {
  fc.assert(fc.property(fc.array(fc.array(change, { maxLength: 6 }), { maxLength: 8 }), (rounds) => {
    const state = newRunState("p", "1", new Date(0));
    const texts = new RememberedTexts();
    for (const changes of rounds) {
      for (const each of changes) each(state);
      assert.equal(formatRunState(state, texts), plainText(state));
      assert.equal(formatRunState(state), plainText(state));
    }
  }));
});

Deno.test("RememberedTexts keeps nothing of a thing whose inside it cannot compare", () => {
  const texts = new RememberedTexts();
  const time = { at: new Date(0) };
  assert.equal(texts.of("a", [time], 0)[0], formatJson(time, 1));
  time.at.setTime(1);
  assert.equal(texts.of("a", [time], 0)[0], formatJson(time, 1));
});
