import assert from "node:assert/strict";
import {
  newCollectionState,
  newRunState,
  newSinkState,
  parseRunState,
} from "../../../../pipeline/flow/state/run_state.ts";
import { formatRunState } from "../../../../pipeline/flow/state/run_state_text.ts";
import { TidemarkError } from "../../../../pipeline/errors.ts";
import { woodpeckerPosition } from "../../../../pipeline/positions/mod.ts";

Deno.test("parseRunState reads what formatRunState wrote, 64-bit values exact", () => {
  const state = newRunState("p", "14841639068965178418", new Date(0));
  const sink = newSinkState();
  const own = newCollectionState(
    470597784452279572n,
    { db: "a", name: "b" },
    { db: "c", name: "d" },
    ["v_1v0"],
    "base",
  );
  own.segmentsDone.push(470597784452279573n);
  own.rows = 3n;
  own.importFolder = "files/tidemark_import/x/";
  own.importUnits.push({
    partition: "_default",
    segments: [470597784452279573n],
    inserts: "b/insert_log/",
    deletes: "",
    endMs: 0n,
    rows: 9007199254740993n,
    bytes: 1n,
    phase: "started",
    task: 470771752197949219n,
  });
  sink.collections.set(own.id, own);
  sink.positions.set("ch", { offset: 9007199254740993n, tick: 470598793474605057n });
  sink.vchannels.set("v_1v0", {
    vchannel: "v_1v0",
    pchannel: "ch",
    collectionId: own.id,
    offset: 1n,
    ts: 2n,
    held: true,
  });
  sink.databases.set(470597784452279574n, "c");
  state.sinks.set("replica", sink);
  state.topicIds.set("ch", "uuid");
  const read = parseRunState(formatRunState(state), "here");
  assert.deepEqual(read.sinks.get("replica"), sink);
  assert.deepEqual(read.topicIds, state.topicIds);
  assert.equal(read.clusterId, "14841639068965178418");
});

Deno.test("parseRunState takes a state of a version that knew no imports as one without", () => {
  const state = newRunState("p", "1", new Date(0));
  const sink = newSinkState();
  sink.collections.set(1n, newCollectionState(1n, { db: "a", name: "b" }, { db: "a", name: "b" }, [], "tail"));
  state.sinks.set("replica", sink);
  const old = formatRunState(state).replace(/,\s*"(importUnits|importFolder|byRows)": (\[\]|"")/g, "");
  assert.doesNotMatch(old, /importUnits/);
  assert.deepEqual(parseRunState(old, "here").sinks.get("replica"), sink);
});

Deno.test("parseRunState names the place and the mend for a document that is not one of ours", () => {
  for (const text of ["", "[]", "{}", '{"version":1}']) {
    assert.throws(() => parseRunState(text, "./state/x.json"), (error) => {
      assert(error instanceof TidemarkError);
      assert.equal(error.code, "damaged");
      assert.match(error.message, /\.\/state\/x\.json/);
      return true;
    });
  }
  assert.throws(() => parseRunState('{"version":99}', "x"), /newer Tidemark/);
});

Deno.test("formatRunState writes the places of other queues as text, and parseRunState reads them back exactly", () => {
  const state = newRunState("p", "c", new Date(0));
  state.queue = "woodpecker";
  const sink = newSinkState();
  sink.positions.set("p", { offset: woodpeckerPosition(3n, 17n), tick: 5n });
  sink.vchannels.set("v", {
    vchannel: "v",
    pchannel: "p",
    collectionId: 1n,
    offset: woodpeckerPosition(2n, 0n),
    ts: 4n,
    held: true,
  });
  sink.bases = { triedAt: "2026-11-21T11:58:00.000Z", goodAt: "", failures: 2, error: "refused" };
  state.sinks.set("s", sink);
  const text = formatRunState(state);
  assert.match(text, /"offset": "3\/17"/);
  assert.deepEqual(parseRunState(text, "s").sinks.get("s"), sink);
  assert.throws(
    () => parseRunState(text.replace("3/17", "3:17:0"), "s"),
    /The state s: "3:17:0" is no position of woodpecker/,
  );
  assert.throws(() => parseRunState(text.replace('"woodpecker"', '"nats"'), "s"), /its queue is "nats"/);
});
